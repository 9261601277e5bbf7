"""A meter that an agent records for another machine: the real agent, and a program that prints watts."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.device_agent import meter_post
from tests.device_agent.conftest import AgentError

if TYPE_CHECKING:
    from tests.device_agent.conftest import Agent

# Its samples lie on a grid of their own, so that it loses none on a busy machine.
METER = """
import sys, time
at = time.monotonic()
while True:
    while at < time.monotonic():
        at += 0.005
        print(f"{at:.9f} 4.0")
    sys.stdout.flush()
    time.sleep(0.02)
"""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "meter.py"
    path.write_text(METER)
    return {"command": [sys.executable, str(path)]}


def test_any_span_is_answered_afterwards(agent: Agent, settings: dict[str, Any]) -> None:
    before = agent.ask("clock")
    assert abs(before["clock_ns"] - time.monotonic_ns()) < 10_000_000_000
    assert abs(before["unix_ns"] - time.time_ns()) < 10_000_000_000
    about = agent.ask("meter.start", sensor="command", settings=settings)
    assert (about["name"], about["driver"]) == ("command", "command")
    start = agent.ask("clock")["clock_ns"]
    time.sleep(0.6)
    spans = [[start + 100_000_000, start + 500_000_000], [start, start + 200_000_000], [0, 1_000_000_000]]
    first, second, old = agent.ask("meter.energy", spans=spans)["power"]
    assert first["joules"] == pytest.approx(4.0 * 0.4)
    assert second["joules"] == pytest.approx(4.0 * 0.2)
    assert "unavailable" in old, "nobody recorded then"
    assert agent.ask("meter.energy", spans=spans[:1])["power"][0]["joules"] == first["joules"], (
        "as often as asked"
    )
    agent.ask("meter.stop")
    with pytest.raises(AgentError, match="no meter is recorded") as caught:
        agent.ask("meter.energy", spans=spans)
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize(
    "spans",
    [None, {}, [[1]], [[2, 1]], [[1, 1]], [["1", 2]], [[1, 2.5]], [[-1, 2]], [[0, 1 << 62]], [[1, 2]] * 17],
)
def test_spans_are_checked(settings: dict[str, Any], spans: Any) -> None:
    with meter_post.MeterPost() as post:
        post.start("command", settings)
        with pytest.raises(Exception, match="'spans' is not a list of at most 16 pairs"):
            post.energy(spans)


def test_a_meter_that_cannot_be_opened_is_told(agent: Agent) -> None:
    settings = {"command": [sys.executable, "-c", "import sys; sys.exit('no such port')"]}
    with pytest.raises(AgentError, match="no such port") as caught:
        agent.ask("meter.start", sensor="command", settings=settings)
    assert caught.value.code == "no_power_sensor"
    with pytest.raises(AgentError) as caught:
        agent.ask("meter.start", sensor="nothing-of-this-name", settings={})
    assert caught.value.code == "no_power_sensor"
    with pytest.raises(AgentError) as caught:
        agent.ask("meter.start", sensor="ppk2", settings=["port"])
    assert caught.value.code == "bad_request"


def test_the_meter_ends_with_the_agent(agent: Agent, settings: dict[str, Any], tmp_path: Path) -> None:
    mark = tmp_path / "running"
    program = tmp_path / "meter.py"
    program.write_text(f"import os; open({str(mark)!r}, 'w').write(str(os.getpid()))\n{METER}")
    agent.ask("meter.start", sensor="command", settings=settings)
    process = Path(f"/proc/{mark.read_text()}")
    assert process.exists()
    agent.close()
    deadline = time.monotonic() + 10
    while process.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_memory_bounds_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgepack.device_agent.state import StateReader

    for available, expected in ((None, 1 << 20), (1 << 29, 1 << 23), (1 << 40, 1 << 25)):
        monkeypatch.setattr(StateReader, "read", lambda _, found=available: {"available_bytes": found})
        assert meter_post._capacity() == expected
