"""A child that answers one request after the other, and the ways in which it can end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.device_agent import children, conversation
from edgepack.device_agent.conversation import Conversation
from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.runtimes import Runtime
from tests.device_agent.conftest import write_package

if TYPE_CHECKING:
    from tests.device_agent.conftest import BuiltPackage

SYSTEM = Runtime("system", "litert", None, None, None, system_site=True)
SPEC = {
    "warmup_min_runs": 1, "warmup_min_seconds": 0.0, "warmup_max_seconds": 0.05,
    "min_runs": 5, "min_seconds": 0.01, "max_seconds": 60.0,
}  # fmt: skip


@pytest.fixture
def request_(package: BuiltPackage, tmp_path: Path, agent_file: Path, monkeypatch: Any) -> dict[str, Any]:
    monkeypatch.setattr(children, "AGENT_PATH", agent_file)
    folder = write_package(package, tmp_path / "package")
    where = {"batch": 1, "threads": 1, "delegate": "xnnpack"}
    return {"op": "latency", "package": str(folder), "spec": SPEC, "max_samples": 1000, **where}


def test_one_process_answers_everything(request_: dict[str, Any]) -> None:
    with Conversation(SYSTEM, request_) as talk:
        loaded = talk.ask("load", timeout_s=60)
        assert loaded["load_ns"] > 0
        assert loaded["first_inference_ns"] > 0
        assert talk.ask("warm_up", timeout_s=60)["warmup_runs"] > 0
        assert talk.ask("prepare", timeout_s=60, inputs=1) == {}
        window = talk.ask("window", timeout_s=60)
        samples = talk.ask("samples", timeout_s=60)["samples_ns"]
    assert len(samples) == -(-window["runs"] // window["sample_stride"])
    assert talk._child.returncode == 0


def test_between_two_requests_the_child_uses_no_cpu(request_: dict[str, Any]) -> None:
    with Conversation(SYSTEM, {**request_, "threads": 2}) as talk:
        talk.ask("load", timeout_s=60)
        talk.ask("warm_up", timeout_s=60)
        time.sleep(0.1)  # threads of the runtime spin for a moment
        before = cpu_ticks(talk._child.pid)
        time.sleep(1.0)
        assert cpu_ticks(talk._child.pid) - before <= 1


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_its_own_errors_come_back_and_it_goes_on(request_: dict[str, Any]) -> None:
    with Conversation(SYSTEM, request_) as talk:
        with pytest.raises(AgentError, match="not loaded") as caught:
            talk.ask("window", timeout_s=60)
        assert caught.value.code == "internal"
        with pytest.raises(AgentError, match="KeyError: 'nonsense'"):
            talk.ask("nonsense", timeout_s=60)
        assert talk.ask("load", timeout_s=60)["load_ns"] > 0


def test_a_crash_is_told_with_its_signal(request_: dict[str, Any]) -> None:
    with Conversation(SYSTEM, request_) as talk:
        talk.ask("load", timeout_s=60)
        os.kill(talk._child.pid, signal.SIGSEGV)
        with pytest.raises(AgentError, match=r"crashed with SIGSEGV during 'window'") as caught:
            talk.ask("window", timeout_s=60)
    assert caught.value.code == "runtime_broken"


def test_a_child_that_hangs_is_ended(request_: dict[str, Any]) -> None:
    spec = {**SPEC, "min_seconds": 50.0}
    with Conversation(SYSTEM, {**request_, "spec": spec}) as talk:
        talk.ask("load", timeout_s=60)
        with pytest.raises(AgentError, match="did not finish 'window' within"):
            talk.ask("window", timeout_s=0.2)
    assert talk._child.returncode == -signal.SIGKILL


def test_a_package_that_is_damaged_is_an_answer(request_: dict[str, Any]) -> None:
    (Path(request_["package"]) / "manifest.json").write_text("{}")
    with Conversation(SYSTEM, request_) as talk, pytest.raises(AgentError) as caught:
        talk.ask("load", timeout_s=60)
    assert caught.value.code == "bad_package"


def test_the_child_ends_in_the_middle_of_a_window_when_the_job_is_gone(request_: dict[str, Any]) -> None:
    talk = Conversation(SYSTEM, {**request_, "spec": {**SPEC, "min_seconds": 50.0}})
    talk.ask("load", timeout_s=60)
    talk._send({"op": "window"})
    time.sleep(0.2)
    assert talk._child.poll() is None
    begin = time.monotonic()
    assert talk._child.stdin
    talk._child.stdin.close()  # what the kernel does with the pipes of a process that was killed
    talk._child.wait(20)
    assert time.monotonic() - begin < 5
    talk.close()


def test_answers_that_are_none(
    request_: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(conversation, "_END_TIMEOUT_S", 0.5)
    for code, match in (
        ("print('no json')", "ended with 0 during 'load'"),
        ("print('[1]'); import time; time.sleep(60)", "crashed with SIGKILL"),
        ("import sys; sys.exit('cannot open shared object file')", "ended with 1 .*shared object"),
    ):
        command = [sys.executable, "-c", code]
        monkeypatch.setattr(conversation, "agent_command", lambda *_, command=command, **__: command)
        with Conversation(SYSTEM, request_) as talk, pytest.raises(AgentError, match=match):
            talk.ask("load", timeout_s=60)
