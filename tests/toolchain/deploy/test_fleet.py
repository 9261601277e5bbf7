from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy import fleet
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.fleet import FleetEvent, run_fleet
from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.deploy.remote import probe
from edgepack.toolchain.errors import AgentError, DeployError, NetworkError
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.progress import Report


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(fleet, "_LEND_AFTER_S", 0.2)


def devices(count: int) -> list[Device]:
    return [Device(name=f"d{number}", host="h") for number in range(count)]


def test_outcomes_keep_the_order_and_errors_stay_apart() -> None:
    def work(device: Device, _report: Report, _cancellation: Cancellation) -> str:
        if device.name == "d1":
            raise AgentError("no", remedy="r", code="disk_full")
        time.sleep(0.01 * (5 - int(device.name[1:])))
        return device.name

    outcomes = run_fleet(devices(5), work, parallel=5)
    assert [outcome.value for outcome in outcomes] == ["d0", None, "d2", "d3", "d4"]
    assert isinstance(outcomes[1].error, AgentError)
    assert [outcome.attempts for outcome in outcomes] == [1] * 5


def test_only_network_errors_are_tried_again() -> None:
    tried: dict[str, int] = {}
    faults = {"d0": NetworkError, "d1": DeployError}

    def work(device: Device, _report: Report, _cancellation: Cancellation) -> None:
        tried[device.name] = tried.get(device.name, 0) + 1
        raise faults[device.name]("m", remedy="r")

    outcomes = run_fleet(devices(2), work, attempts=3)
    assert tried == {"d0": 3, "d1": 1}
    assert [outcome.attempts for outcome in outcomes] == [3, 1]


def test_a_fault_that_passes_is_no_failure() -> None:
    events: list[FleetEvent] = []

    def work(_device: Device, report: Report, _cancellation: Cancellation) -> int:
        report("push", 1, 2)
        if not any(event.state == "retrying" for event in events):
            raise NetworkError("cut", remedy="r")
        return 7

    (outcome,) = run_fleet(devices(1), work, listen=events.append)
    assert (outcome.value, outcome.error, outcome.attempts) == (7, None, 2)
    assert [(event.state, event.stage, event.attempt) for event in events] == [
        ("waiting", "", 1), ("working", "connect", 1), ("working", "push", 1), ("retrying", "cut", 1),
        ("working", "connect", 2), ("working", "push", 2), ("done", "", 2),
    ]  # fmt: skip


def test_no_more_than_parallel_work_at_a_time() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def work(_device: Device, report: Report, _cancellation: Cancellation) -> None:
        nonlocal now, most
        report("push", 0, 1)
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.03)
        with lock:
            now -= 1

    run_fleet(devices(12), work, parallel=3)
    assert most == 3


def test_device_that_does_not_answer_lends_its_slot() -> None:
    """One slot, and the first device hangs while it connects: the others pass it."""
    ended: list[str] = []
    others_done = threading.Event()

    def work(device: Device, report: Report, _cancellation: Cancellation) -> None:
        if device.name == "d0":
            assert others_done.wait(30)
        report("push", 0, 1)
        ended.append(device.name)
        if len(ended) == 3:
            others_done.set()

    run_fleet(devices(4), work, parallel=1)
    assert ended[-1] == "d0"


def test_bug_is_raised_after_all_have_ended() -> None:
    ended = []

    def work(device: Device, _report: Report, _cancellation: Cancellation) -> None:
        if device.name == "d0":
            raise ZeroDivisionError
        time.sleep(0.1)
        ended.append(device.name)

    with pytest.raises(ZeroDivisionError):
        run_fleet(devices(3), work)
    assert len(ended) == 2


@needs_sshd
def test_one_dead_device_delays_nobody(sshd: Sshd, tmp_path: Path) -> None:
    """A host that accepts and never speaks, before three real ones, with one slot."""

    def work(device: Device, report: Report, cancellation: Cancellation) -> str | None:
        with open_session(device, sshd.lab(), cancellation=cancellation) as session:
            report("probe", 0, 1)
            return probe(session).hostname

    ended: dict[str, float] = {}

    def listen(event: FleetEvent) -> None:
        if event.state in ("done", "failed"):
            ended[event.device] = time.monotonic()
        if len(ended) == 3:
            silent.close()  # the others have passed: enough of waiting

    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = sshd.device("dead", port=silent.getsockname()[1], connect_timeout_s=30)
        alive = [sshd.device(f"pi{number}", work_dir=str(tmp_path / "work")) for number in range(3)]
        outcomes = run_fleet([dead, *alive], work, parallel=1, attempts=1, listen=listen)
    assert isinstance(outcomes[0].error, NetworkError)
    assert [outcome.value for outcome in outcomes[1:]] == [socket.gethostname()] * 3
    assert max(ended[f"pi{number}"] for number in range(3)) < ended["dead"]


@needs_sshd
def test_interrupt_closes_all_connections(sshd: Sshd, tmp_path: Path) -> None:
    """Ctrl-C while two agents are being waited for; no login is left on the server."""
    waiting = threading.Barrier(3)

    def wait_for_the_agent(device: Device, report: Report, cancellation: Cancellation) -> None:
        with open_session(device, sshd.lab(), cancellation=cancellation) as session:
            report("wait", 0, 1)
            waiting.wait(30)
            next(session.fetch(1))  # it never comes: the agent was asked for nothing

    def interrupt() -> None:
        waiting.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    both = [sshd.device(f"pi{number}", work_dir=str(tmp_path / "work")) for number in range(2)]
    threading.Thread(target=interrupt).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_fleet(both, wait_for_the_agent)
    assert time.monotonic() - started < 20
    for thread in threading.enumerate():
        if thread.name.startswith("edgepack-pi"):
            thread.join(10)
            assert not thread.is_alive()
    deadline = time.monotonic() + 5
    while sshd.session_pids() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sshd.session_pids() == []
