from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.converters import isolation
from edgepack.converters.errors import ConversionError, UnsupportedOpError

if TYPE_CHECKING:
    from pathlib import Path

JOBS = """
import os, signal, subprocess, sys, time
from edgepack.converters.errors import UnsupportedOpError
def echo(r):
    print("noise on stdout"); print("noise on stderr", file=sys.stderr); os.write(1, b"native noise")
    return {"got": r, "variable": os.environ.get("EDGEPACK_TEST")}
def path(r): return {"path": sys.path}
def segfault(r): os.kill(os.getpid(), signal.SIGSEGV)
def leave(r): print("last words", flush=True); os._exit(7)
def wrong(r): raise KeyError("scale")
def typed(r): raise UnsupportedOpError("FOO is not supported.", remedy="Use BAR.")
def sleep(r):
    subprocess.Popen(["sleep", "60"]); open(r["pid"], "w").write(str(os.getpid())); time.sleep(60)
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "jobs_for_isolation.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)

    def run(name: str, request: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        options = {"what": "Trying", "timeout_s": 60, **options}
        return isolation.run_isolated(f"jobs_for_isolation:{name}", request or {}, **options)

    return run


def test_the_answer_comes_back_and_the_noise_does_not(call: Any, capfd: pytest.CaptureFixture[str]) -> None:
    answer = call("echo", {"a": [1, None, "ü"]}, environment={"EDGEPACK_TEST": "yes"})
    assert answer == {"got": {"a": [1, None, "ü"]}, "variable": "yes"}
    assert capfd.readouterr() == ("", "")


def test_the_child_has_exactly_the_callers_import_path(call: Any) -> None:
    assert call("path")["path"] == sys.path


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("segfault", "Trying crashed: the process was killed by signal SIGSEGV."),
        ("leave", "Trying crashed: the process ended with status 7."),
        ("wrong", "Trying failed: KeyError: 'scale'"),
    ],
)
def test_a_crash_is_an_error(call: Any, job: str, message: str) -> None:
    with pytest.raises(ConversionError) as raised:
        call(job)
    assert raised.value.message == message
    assert raised.value.remedy


def test_the_end_of_the_log_is_the_cause(call: Any) -> None:
    with pytest.raises(ConversionError) as raised:
        call("leave")
    assert isinstance(raised.value.__cause__, isolation.ChildProcessFailure)
    assert str(raised.value.__cause__) == "last words"


def test_our_own_errors_keep_their_kind_message_and_remedy(call: Any) -> None:
    with pytest.raises(UnsupportedOpError, match="FOO is not supported") as raised:
        call("typed")
    assert raised.value.remedy == "Use BAR."


def test_a_child_that_hangs_is_stopped_with_what_it_started(call: Any, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="did not end within 2 s"):
        call("sleep", {"pid": str(tmp_path / "pid")}, timeout_s=2)
    group = int((tmp_path / "pid").read_text())
    for _ in range(50):
        try:
            os.killpg(group, signal.SIG_DFL)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("something of the child still runs")
