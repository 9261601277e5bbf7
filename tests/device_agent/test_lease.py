"""The lease: one owner at a time, and never for ever."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.device_agent import lease, process
from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.layout import WorkDir, open_work_dir
from edgepack.device_agent.lease import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return open_work_dir(str(tmp_path / "device"))


@pytest.fixture
def stranger() -> Iterator[dict[str, Any]]:
    """A living process that is not this one."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    yield process.identify(child.pid)
    child.communicate(b"\n")


def note(work: WorkDir) -> dict[str, Any]:
    return json.loads((work.root / "lease.json").read_text())


def write_note(work: WorkDir, who: dict[str, Any], seconds_left: float = 100.0, **changes: Any) -> None:
    expires = process.clock_ns() + int(seconds_left * 1e9)
    value = {"owner": "bob@desk", "purpose": "installing", "token": "x", "expires_clock_ns": expires}
    (work.root / "lease.json").write_text(json.dumps({**value, **who, **changes}))


def test_hold_and_release(work: WorkDir) -> None:
    with lease.hold(work, Claim("ann"), "testing") as held:
        assert note(work)["owner"] == "ann"
        assert note(work)["pid"] == os.getpid()
        held.check()
        with pytest.raises(AgentError, match="ann is testing on this device") as caught:
            lease.acquire(work, Claim("bob"), "testing")
        assert caught.value.code == "busy"
        assert "ask ann" in caught.value.remedy
    assert not (work.root / "lease.json").exists()
    lease.acquire(work, Claim("bob"), "testing").release()


def test_it_is_released_when_the_work_fails(work: WorkDir) -> None:
    with pytest.raises(ZeroDivisionError), lease.hold(work, Claim("ann"), "testing"):
        raise ZeroDivisionError
    assert not (work.root / "lease.json").exists()


def test_a_living_holder_is_respected(work: WorkDir, stranger: dict[str, Any]) -> None:
    write_note(work, stranger)
    with pytest.raises(AgentError, match="bob@desk"):
        lease.acquire(work, Claim("ann"), "testing")


@pytest.mark.parametrize(
    "changes",
    [
        {"boot_id": "of yesterday"},
        {"start_ticks": 1},
        {"pid": 1 << 30},
        {"pid": "1"},
        {"expires_clock_ns": 5},
        {"expires_clock_ns": None},
    ],
)
def test_a_stale_lease_is_taken_over(
    work: WorkDir, stranger: dict[str, Any], changes: dict[str, Any]
) -> None:
    write_note(work, stranger, **changes)
    (work.store / "abc.new-77").mkdir()
    lease.acquire(work, Claim("ann"), "testing").release()
    assert not list(work.store.iterdir()), "what the dead holder left is removed"


def test_a_zombie_holds_nothing(work: WorkDir) -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    write_note(work, process.identify(child.pid))
    child.stdin.close()
    while process.start_ticks(child.pid) is not None:
        pass
    lease.acquire(work, Claim("ann"), "testing").release()
    child.wait()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid": 3}'])
def test_a_damaged_note_is_no_lease(work: WorkDir, content: bytes) -> None:
    (work.root / "lease.json").write_bytes(content)
    lease.acquire(work, Claim("ann"), "testing").release()


def test_a_holder_that_lost_it_is_told_before_it_commits(work: WorkDir, stranger: dict[str, Any]) -> None:
    with lease.hold(work, Claim("ann"), "testing") as held:
        write_note(work, stranger)
        with pytest.raises(AgentError, match="was lost"):
            held.check()
    assert note(work)["owner"] == "bob@desk", "and does not release what is another's"


def test_renewal_moves_the_expiry(work: WorkDir) -> None:
    with lease.hold(work, Claim("ann"), "testing") as held:
        before = note(work)["expires_clock_ns"]
        held.check()
        assert note(work)["expires_clock_ns"] > before


def test_hand_over(work: WorkDir, stranger: dict[str, Any]) -> None:
    held = lease.acquire(work, Claim("ann"), "testing")
    held.hand_over(stranger["pid"])
    assert {**note(work), **stranger} == note(work)
    adopted = lease.adopt(work, held.token)
    assert note(work)["pid"] == os.getpid()
    adopted.release()
    with pytest.raises(AgentError, match="was lost"):
        lease.adopt(work, held.token)


def test_healing_waits_for_the_holder(work: WorkDir, stranger: dict[str, Any]) -> None:
    (work.store / "abc.new-77").mkdir()
    write_note(work, stranger)
    lease.heal_if_free(work)
    assert list(work.store.iterdir())
    (work.root / "lease.json").unlink()
    lease.heal_if_free(work)
    assert not list(work.store.iterdir())


def test_a_renewal_needs_no_space(work: WorkDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk nothing can be created or made longer; the holder keeps its lease all the same."""
    held = lease.acquire(work, Claim("ann"), "testing")
    held.check()
    before = (work.root / "lease.json").stat()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lease, "write_json", full)
    monkeypatch.setattr(os, "replace", full)
    for _ in range(3):
        held.check()
    after = (work.root / "lease.json").stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    held.release()


def test_stealing_ends_the_other_and_tells_both(work: WorkDir, stranger: dict[str, Any]) -> None:
    write_note(work, stranger)
    (work.store / "abc.new-77").mkdir()
    taken = lease.acquire(work, Claim("ann@laptop", "the demo is in ten minutes"), "testing")
    assert taken.stolen_from == "bob@desk"
    assert note(work)["owner"] == "ann@laptop"
    assert not process.is_alive(stranger)
    assert not list(work.store.iterdir()), "what the other left half done is removed"
    told = lease.theft(work, stranger["pid"])
    assert told is not None
    assert told.code == "stolen"
    assert told.message == "ann@laptop took this device over: the demo is in ten minutes."
    assert lease.theft(work, os.getpid()) is None
    taken.release()


def test_stealing_what_nobody_holds_is_no_theft(work: WorkDir) -> None:
    taken = lease.acquire(work, Claim("ann", "why not"), "testing")
    assert taken.stolen_from is None
    assert "stolen" not in note(work)
    taken.release()


def test_who_holds_it_can_be_asked(work: WorkDir) -> None:
    assert lease.describe(work) is None
    with lease.hold(work, Claim("ann"), "testing"):
        held = lease.describe(work)
    assert held is not None
    assert (held["owner"], held["purpose"], held["job_id"]) == ("ann", "testing", None)
    assert 0 <= held["held_s"] < 60
    assert 200 < held["expires_s"] <= 300
