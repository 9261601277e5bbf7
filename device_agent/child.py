"""The process of its own in which a runtime is loaded: a JSON object in, a JSON object out.

Operations:
    load         import the runtime, run a tiny model in it, say what it is
    survey       which runtime the interpreter's own site-packages hold, and whether it works
    golden       run the package's golden inputs and compare
    memory       the peak resident memory with the model loaded and run
    baseline     the same with the runtime imported and no model
    evaluation   the outputs of the evaluation set
    profile      time the model's operators one by one
    roofline     the device's peak rates and memory bandwidth
    restore      put the governor back when the process that started this one is gone
Conversations, in which each further line is a request and has an answer:
    latency      measure one configuration (`measure.py`)
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .errors import AgentError, from_os_error
from .package import MANIFEST_NAME, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .measure import Measurement

    Operation = Callable[[dict[str, Any]], dict[str, Any]]


def main() -> int:
    """Read requests from stdin, write answers to stdout; prints of the runtime go to stderr."""
    sink = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    request = json.loads(sys.stdin.readline())
    if request.get("site"):
        sys.path.insert(0, request["site"])
    if request.get("pin"):
        os.sched_setaffinity(0, request["pin"])
    with sink:
        if request["op"] in CONVERSATIONS:
            _converse(CONVERSATIONS[request["op"]](request).operations, sink)
        else:
            json.dump(_answer(OPERATIONS, request), sink, allow_nan=False)
    return 0


def _converse(operations: dict[str, Operation], sink: TextIO) -> None:
    """Answer one request after the other until whoever asks has closed the pipe, or is gone."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    while True:
        sink.write(json.dumps(_answer(operations, json.loads(lines.get())), allow_nan=False) + "\n")
        sink.flush()


def _listen(lines: queue.SimpleQueue[str]) -> None:
    """Pass requests on; end the process, in whatever it is, when no more can come. Waiting costs no CPU."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _answer(operations: dict[str, Operation], request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"type": "result", "value": operations[request["op"]](request)}
    except AgentError as err:
        found = err
    except MemoryError:
        found = AgentError(
            "runtime_broken", "The device has too little memory for the model.", "Use a smaller model."
        )
    except OSError as err:
        found = from_os_error(err)
    except Exception as err:
        traceback.print_exc()
        last = traceback.format_exception_only(type(err), err)[-1].strip()
        message = f"The runtime failed during '{request['op']}': {last[:400]}."
        found = AgentError("runtime_broken", message, "Check the runtime's version against the package's.")
    return {"type": "error", "code": found.code, "message": found.message, "remedy": found.remedy}


def _load(request: dict[str, Any]) -> dict[str, Any]:
    from .runners import litert

    return litert.load_once(request["kind"])


def _survey(request: dict[str, Any]) -> dict[str, Any]:
    from .runners import litert

    return litert.survey(request.get("known"))


def _golden(request: dict[str, Any]) -> dict[str, Any]:
    from .golden import check_golden

    return check_golden(request["kind"], *_package(request))


def _latency(request: dict[str, Any]) -> Measurement:
    from .measure import Measurement

    return Measurement(request)


def _memory(request: dict[str, Any]) -> dict[str, Any]:
    from .memory import memory

    where = (request["batch"], request["threads"], request["delegate"])
    return memory(request["kind"], *_package(request), *where)


def _baseline(request: dict[str, Any]) -> dict[str, Any]:
    from .memory import baseline

    return baseline(request["kind"])


def _evaluation(request: dict[str, Any]) -> dict[str, Any]:
    from .evaluation import evaluation

    return evaluation(request["kind"], *_package(request), request["threads"])


def _profile(request: dict[str, Any]) -> dict[str, Any]:
    from .profile import profile

    where = (request["method"], request["threads"], request["delegate"])
    return profile(request["kind"], *_package(request), *where)


def _roofline(request: dict[str, Any]) -> dict[str, Any]:
    from .roofline import measure

    return measure(request["kind"], request["threads"])


def _restore(request: dict[str, Any]) -> dict[str, Any]:
    from .governor import restore_at_end_of_input

    restore_at_end_of_input(request)
    return {}


def _package(request: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    folder = Path(request["package"])
    return folder, parse_manifest((folder / MANIFEST_NAME).read_bytes()).manifest


OPERATIONS: dict[str, Operation] = {
    "load": _load,
    "survey": _survey,
    "golden": _golden,
    "memory": _memory,
    "baseline": _baseline,
    "evaluation": _evaluation,
    "profile": _profile,
    "roofline": _roofline,
    "restore": _restore,
}
CONVERSATIONS: dict[str, Callable[[dict[str, Any]], Measurement]] = {"latency": _latency}
