"""Run a function in a child process, so that a crash, a hang or its noise cannot reach the caller.

For native code that hostile or broken input can bring down (the LiteRT interpreter), and for frameworks that
cost hundreds of megabytes and write to the terminal (TensorFlow, PyTorch).

Rules:
    * The request and the answer are JSON objects, never pickles.
    * The child inherits the caller's import path exactly; the current folder is not added to it.
    * Both output streams of the child go to a log. The error's cause (`ChildProcessFailure`)
      holds its end.
    * However the child ends (answer, exception, signal, timeout, Ctrl-C in the parent), nothing of it keeps
      running and exactly one of an answer and an `EdgepackError` comes back.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.errors import ConversionError, DataError, UnsupportedOpError
from edgepack.targets.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BOOTSTRAP = (
    "import sys; sys.path[:] = sys.argv[1].split('\\n'); "
    "from edgepack.converters.isolation import answer_request; answer_request(sys.argv[2], sys.argv[3])"
)
_LOG_END_BYTES = 16_384
_ANSWER_LIMIT_BYTES = 64 << 20
_ERRORS: dict[str, type[EdgepackError]] = {
    error.__name__: error for error in (ConversionError, DataError, UnsupportedOpError)
}


class ChildProcessFailure(Exception):  # noqa: N818 - a cause, never raised by itself
    """The cause of an error that happened in a child process; its text is the end of the child's log."""


def run_isolated(
    function: str,
    request: Mapping[str, Any],
    *,
    what: str,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Call a function in a child process and return its answer.

    Args:
        function: `module:function` of edgepack; takes the request and returns an answer, both JSON objects.
        request: What to hand over; JSON values only.
        what: What is being done, as a noun phrase, such as "Converting 'kws.h5'"; begins the error's message.
        timeout_s: Seconds after which the child is killed.
        environment: Variables to set in the child on top of the caller's own.

    Raises:
        ConversionError: The child crashed (the message names the signal), ran out of time, or its function
            raised; an `EdgepackError` raised in the child arrives with its own message and remedy.
    """
    return run_program(
        [sys.executable, "-c", _BOOTSTRAP, "\n".join(sys.path)],
        {"function": function, "request": dict(request)},
        what=what,
        timeout_s=timeout_s,
        environment=environment,
    )


def run_program(
    command: Sequence[str],
    request: Mapping[str, Any],
    *,
    what: str,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a program that reads a request file and writes an answer file, its two last arguments.

    For programs under another interpreter, which cannot import edgepack. The answer is
    `{"answer": {…}}`, or `{"error": "ConversionError", "message": "…", "remedy": "…"}`. The rest is as for
    `run_isolated`.
    """
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        request_path, answer_path, log_path = (Path(folder) / name for name in ("request", "answer", "log"))
        request_path.write_text(json.dumps(dict(request)), encoding="utf-8")
        with log_path.open("wb") as log:
            arguments = [*command, str(request_path), str(answer_path)]
            return_code = _run(arguments, log.fileno(), timeout_s, {**os.environ, **(environment or {})})
        return _read_answer(answer_path, _end_of(log_path), return_code, what=what, timeout_s=timeout_s)


def answer_request(request_path: str, answer_path: str) -> None:
    """Do what a request file asks and write the answer file. Runs in the child; called by `run_isolated`."""
    job = json.loads(Path(request_path).read_text(encoding="utf-8"))
    module, _, name = job["function"].partition(":")
    answer: dict[str, Any]
    try:
        answer = {"answer": getattr(importlib.import_module(module), name)(job["request"])}
    except EdgepackError as err:
        answer = {"error": type(err).__name__, "message": err.message, "remedy": err.remedy}
    except MemoryError:
        answer = {"error": "", "message": "there was not enough memory", "remedy": ""}
    except Exception as err:
        import traceback

        traceback.print_exc()  # into the log
        answer = {"error": "", "message": f"{type(err).__name__}: {err}", "remedy": ""}
    partial = Path(f"{answer_path}.partial")
    partial.write_text(json.dumps(answer), encoding="utf-8")
    partial.replace(answer_path)


def _run(command: list[str], log: int, timeout_s: float, environment: dict[str, str]) -> int | None:
    """Run a command in a process group of its own; return its exit status, or None where it was killed."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
    )
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:  # also on Ctrl-C, and for what the child itself may have started
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read_answer(
    path: Path, log: str, return_code: int | None, *, what: str, timeout_s: float
) -> dict[str, Any]:
    if return_code is None:
        msg = f"{what} did not end within {timeout_s:g} s and was stopped."
        raise ConversionError(
            msg,
            remedy="Try again on a less busy machine; or with a smaller model: the file may be broken.",
        ) from ChildProcessFailure(log)
    if not path.is_file() or path.stat().st_size > _ANSWER_LIMIT_BYTES:
        msg = f"{what} crashed: {_how_it_ended(return_code)}."
        raise ConversionError(msg, remedy=_crash_remedy(return_code)) from ChildProcessFailure(log)
    answer = json.loads(path.read_text(encoding="utf-8"))
    if "answer" in answer:
        result: dict[str, Any] = answer["answer"]
        return result
    kind = _ERRORS.get(answer["error"], ConversionError)
    if answer["remedy"]:
        raise kind(answer["message"], remedy=answer["remedy"]) from ChildProcessFailure(log)
    msg = f"{what} failed: {_first_line(answer['message'])}"
    raise kind(
        msg,
        remedy="See the whole log with --traceback; the model may use something that the converter lacks.",
    ) from ChildProcessFailure(log)


def _how_it_ended(return_code: int) -> str:
    if return_code >= 0:
        return f"the process ended with status {return_code}"
    try:
        name = signal.Signals(-return_code).name
    except ValueError:
        name = str(-return_code)
    return f"the process was killed by signal {name}"


def _crash_remedy(return_code: int) -> str:
    if return_code == -signal.SIGKILL:
        return "The system most likely ran out of memory: close other programs or use a smaller model."
    return "The file is most likely damaged: export or download it again. `--traceback` shows the whole log."


def _first_line(text: str, limit: int = 400) -> str:
    line = next((part.strip() for part in text.splitlines() if part.strip()), "no reason given")
    return line if len(line) <= limit else f"{line[:limit]}…"


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_END_BYTES))
        return file.read().decode("utf-8", "replace").strip()
