"""A device that does not answer is switched off and on once; one that answers never is."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.connection import Cancellation
from edgepack.toolchain.deploy.fleet import run_fleet
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.deploy.power_cycle import power_cycle
from edgepack.toolchain.errors import DeployError, NetworkError
from tests.sshd import Sshd, free_port, make_key, needs_sshd

if TYPE_CHECKING:
    from pathlib import Path

SWITCH = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write('switched ')"


def device(tmp_path: Path, port: int, **changes: Any) -> Device:
    command = [sys.executable, "-c", SWITCH, str(tmp_path / "switched; true")]  # no shell reads the ";"
    fields = {
        "name": "pi", "host": "127.0.0.1", "port": port, "identity_file": str(tmp_path / "identity"),
        "work_dir": str(tmp_path / "work"), "python": sys.executable, "power_cycle": command,
        "power_cycle_wait_s": 20, "connect_timeout_s": 2,
    }  # fmt: skip
    return Device.model_validate({**fields, **changes})


def revive(lab: Lab) -> Any:
    return lambda device, cancellation, tell: power_cycle(device, lab, cancellation, tell)


@needs_sshd
def test_a_dead_device_is_switched_and_the_work_is_done(tmp_path: Path) -> None:
    port, key = free_port(), make_key(tmp_path / "identity")
    pi = device(tmp_path, port)
    lab = Lab(path=None, devices=(pi,), known_hosts=tmp_path / "server" / "known_hosts")
    switched = tmp_path / "switched; true"
    running = ExitStack()

    def power_on() -> None:
        while not switched.exists():
            time.sleep(0.02)
        running.enter_context(Sshd.start(tmp_path / "server", port=port, identity=key))

    thread = threading.Thread(target=power_on)
    thread.start()
    stages: list[str] = []

    def work(pi: Device, _report: Any, cancellation: Cancellation) -> str:
        with open_session(pi, lab, cancellation=cancellation) as session:
            return remote.probe(session).machine

    with running:
        (outcome,) = run_fleet(
            [pi], work, attempts=1, revive=revive(lab), listen=lambda event: stages.append(event.stage)
        )
        thread.join()
        assert outcome.error is None
        assert outcome.value
        assert outcome.revived is not None
        assert outcome.revived.startswith("it did not answer and was switched off and on; it answered after ")
        assert "does not answer; switching it off and on" in stages
        # Now it answers: whatever fails next, nobody switches it off.
        assert power_cycle(pi, lab, Cancellation(), stages.append) is None
    assert switched.read_text() == "switched "


def test_a_device_that_stays_dead_is_told_and_switched_once(tmp_path: Path) -> None:
    pi = device(tmp_path, free_port(), power_cycle_wait_s=0.5, identity_file=None)
    lab = Lab(path=None, devices=(pi,), known_hosts=tmp_path / "known_hosts")

    def work(pi: Device, _report: Any, cancellation: Cancellation) -> None:
        with open_session(pi, lab, cancellation=cancellation):
            pytest.fail("nobody listens there")

    (outcome,) = run_fleet([pi], work, revive=revive(lab))
    assert type(outcome.error) is DeployError
    assert "did not within 0.5 s after it was switched off and on" in outcome.error.message
    assert (tmp_path / "switched; true").read_text() == "switched "
    (outcome,) = run_fleet([pi], work, attempts=1)
    assert isinstance(outcome.error, NetworkError), "without --power-cycle it is as ever"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["/none/switch"], "cannot be run"),
        ([sys.executable, "-c", "exit('no relay 3')"], "ended with 1. no relay 3"),
    ],
)
def test_a_switch_that_fails_is_told(tmp_path: Path, command: list[str], expected: str) -> None:
    pi = device(tmp_path, free_port(), power_cycle=command, identity_file=None)
    lab = Lab(path=None, devices=(pi,), known_hosts=tmp_path / "known_hosts")
    with pytest.raises(DeployError, match=expected) as caught:
        power_cycle(pi, lab, Cancellation(), lambda _: None)
    assert "--no-power-cycle" in caught.value.remedy
