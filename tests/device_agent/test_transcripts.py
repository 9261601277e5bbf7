"""The recorded conversations, replayed against the agent of today."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.device_agent.transcripts.replay import NAMES, difference, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.device_agent.conftest import Agent


@pytest.mark.parametrize("name", NAMES)
def test_the_agent_answers_as_it_did(name: str, start_agent: Callable[..., Agent], tmp_path: Path) -> None:
    steps = load(name)
    agent = start_agent(work=tmp_path / "replay")
    assert difference(steps[0]["line"], agent.hello) is None
    names: dict[str, str] = {}  # job ids: recorded -> now
    for index, step in enumerate(steps[1:], 1):
        if step["from"] == "host":
            agent.process.stdin.write(step.get("raw") or renamed(step["line"], names) + b"\n")
            agent.process.stdin.flush()
        elif "line" in step:
            answer = next_answer(agent)
            if "job_id" in answer:
                names[step["line"]["job_id"]] = answer["job_id"]
            expected = step["line"]
            if "raw" in steps[min(index + 1, len(steps) - 1)] and steps[index + 1]["from"] == "agent":
                size = answer["size_bytes"]
                expected = {**expected, "size_bytes": size, "sha256": answer["sha256"]}
            assert difference(expected, answer, f"step {index}") is None
        else:
            record = json.loads(agent.process.stdout.read(size))
            assert difference(json.loads(step["raw"]), record, f"step {index}") is None
    assert agent.process.wait(20) == 0


def next_answer(agent: Agent) -> dict[str, Any]:
    while (message := agent.read())["type"] == "progress":
        pass
    return message


def renamed(line: dict[str, Any], names: dict[str, str]) -> bytes:
    if line.get("job_id") in names:
        line = {**line, "job_id": names[line["job_id"]]}
    return json.dumps(line).encode()


def test_a_difference_is_seen() -> None:
    """The comparison itself: what it must not overlook."""
    one = {"id": 1, "code": "busy", "message": "a", "list": [{"x": 1}], "facts": {"a": 1}}
    assert difference(one, one) is None
    assert difference(one, {**one, "message": "b"}) is None
    assert difference(one, {**one, "message": 3})
    assert difference(one, {**one, "code": "bad"})
    assert difference(one, {**one, "list": [{"x": 2}]})
    assert difference(one, {**one, "list": []})
    assert difference(one, {**one, "extra": 1})
    assert difference(one, {**one, "facts": {}})
    assert difference(one, {**one, "facts": {"a": "1"}})
