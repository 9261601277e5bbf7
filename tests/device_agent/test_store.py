"""Contents: what arrives, what is cut, what is damaged."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.device_agent.conftest import AgentError, sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.device_agent.conftest import Agent


def entry(data: bytes, offset: int = 0) -> dict[str, object]:
    return {"sha256": sha256(data), "size_bytes": len(data), "offset_bytes": offset}


def missing(agent: Agent, *contents: bytes) -> dict[str, int]:
    blobs = [{"sha256": sha256(data), "size_bytes": len(data)} for data in contents]
    answer = agent.ask("blobs.missing", blobs=blobs)
    assert answer["free_bytes"] > 0
    return {blob["sha256"]: blob["offset_bytes"] for blob in answer["missing"]}


def test_contents_arrive_together(agent: Agent, work_dir: Path) -> None:
    contents = [b"", b"a", os.urandom(3_000_000), os.urandom(70_000)]
    assert set(missing(agent, *contents)) == {sha256(data) for data in contents}
    agent.put(*contents)
    assert missing(agent, *contents) == {}
    for data in contents:
        assert (work_dir / "blobs" / sha256(data)).read_bytes() == data
    agent.put(*contents)  # again: what is there is read over
    assert agent.ask("jobs.list")["jobs"] == []


def test_a_cut_upload_goes_on_where_it_ended(start_agent: Callable[..., Agent], work_dir: Path) -> None:
    data, first = os.urandom(1_000_000), b"arrived whole"
    agent = start_agent()
    agent.send("blobs.put", first + data[:400_000], blobs=[entry(first), entry(data)])
    assert agent.close() == 0
    agent = start_agent()
    assert missing(agent, data, first) == {sha256(data): 400_000}
    assert agent.ask("blobs.put", data[400_000:], blobs=[entry(data, 400_000)])["stored"] == 1
    assert (work_dir / "blobs" / sha256(data)).read_bytes() == data


def test_a_killed_agent_leaves_the_part(start_agent: Callable[..., Agent]) -> None:
    data = os.urandom(1_000_000)
    agent = start_agent()
    agent.send("blobs.put", data[:300_000], blobs=[entry(data)])
    time.sleep(0.3)
    agent.kill()
    agent = start_agent()
    offset = missing(agent, data)[sha256(data)]
    assert 0 < offset <= 300_000
    agent.ask("blobs.put", data[offset:], blobs=[entry(data, offset)])
    assert missing(agent, data) == {}


def test_a_part_that_another_agent_still_holds(start_agent: Callable[..., Agent], work_dir: Path) -> None:
    """A host whose link was cut comes back before the old agent has noticed."""
    data = os.urandom(500_000)
    stale = start_agent()
    stale.send("blobs.put", data[:200_000], blobs=[entry(data)])
    agent = start_agent()
    deadline = time.monotonic() + 10
    while (offset := missing(agent, data)[sha256(data)]) < 200_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    agent.ask("blobs.put", data[offset:], blobs=[entry(data, offset)])
    assert missing(agent, data) == {}
    stale.close()
    assert (work_dir / "blobs" / sha256(data)).read_bytes() == data


def test_wrong_bytes_are_refused_and_the_rest_is_kept(agent: Agent, work_dir: Path) -> None:
    good, bad, after = os.urandom(5000), os.urandom(5000), os.urandom(5000)
    flipped = bytes([bad[0] ^ 1]) + bad[1:]
    with pytest.raises(AgentError) as caught:
        agent.ask("blobs.put", good + flipped + after, blobs=[entry(good), entry(bad), entry(after)])
    assert caught.value.code == "hash_mismatch"
    assert set(missing(agent, good, bad, after)) == {sha256(bad)}
    assert not list((work_dir / "blobs").glob("*.part"))


def test_a_damaged_part_is_found(agent: Agent, work_dir: Path) -> None:
    data = os.urandom(5000)
    part = work_dir / "blobs" / f"{sha256(data)}.part"
    part.write_bytes(b"x" * 2000)
    assert missing(agent, data) == {sha256(data): 2000}
    with pytest.raises(AgentError) as caught:
        agent.ask("blobs.put", data[2000:], blobs=[entry(data, 2000)])
    assert caught.value.code == "hash_mismatch"
    assert missing(agent, data) == {sha256(data): 0}
    agent.put(data)
    assert missing(agent, data) == {}


def test_an_upload_that_builds_on_what_is_not_there(agent: Agent) -> None:
    data = os.urandom(5000)
    with pytest.raises(AgentError) as caught:
        agent.ask("blobs.put", data[3000:], blobs=[entry(data, 3000)])
    assert caught.value.code == "hash_mismatch"
    agent.put(data)


def test_a_part_that_is_a_link_is_not_followed(agent: Agent, work_dir: Path, tmp_path: Path) -> None:
    data, victim = b"new content", tmp_path / "victim"
    victim.write_bytes(b"precious")
    (work_dir / "blobs" / f"{sha256(data)}.part").symlink_to(victim)
    with pytest.raises(AgentError) as caught:
        agent.put(data)
    assert caught.value.code == "io_error"
    assert victim.read_bytes() == b"precious"


def test_old_contents_that_nothing_uses_are_forgotten(device: Agent, package: object, work_dir: Path) -> None:
    old, fresh = b"old and unused", b"fresh and unused"
    device.put(old, fresh)
    used = next((work_dir / "blobs").glob(f"{sha256(package.files['model.tflite'])}"))
    for path in (work_dir / "blobs" / sha256(old), used):
        os.utime(path, (0, 0))
    device.install(package)
    assert not (work_dir / "blobs" / sha256(old)).exists()
    assert (work_dir / "blobs" / sha256(fresh)).exists()
    assert used.exists()
