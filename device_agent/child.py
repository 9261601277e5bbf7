"""The process of its own in which a runtime is loaded: one request in, one answer out.

Operations:
    load         import the runtime, run a tiny model in it, say what it is
    survey       which runtime the interpreter's own site-packages hold, and whether it works
    golden       run the package's golden inputs and compare
    latency      time one configuration
    memory       the peak resident memory with the model loaded and run
    baseline     the same with the runtime imported and no model
    evaluation   the outputs of the evaluation set
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import AgentError, from_os_error
from .package import MANIFEST_NAME, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Read the request from stdin, write the answer to stdout; prints of the runtime go to stderr."""
    sink = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    request = json.load(sys.stdin)
    if request["site"]:
        sys.path.insert(0, request["site"])
    with sink:
        json.dump(_answer(request), sink, allow_nan=False)
    return 0


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"type": "result", "value": OPERATIONS[request["op"]](request)}
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


def _latency(request: dict[str, Any]) -> dict[str, Any]:
    from .measure import latency

    folder, manifest = _package(request)
    return latency(request["kind"], folder, manifest, request["batch"], request["threads"], request["spec"])


def _memory(request: dict[str, Any]) -> dict[str, Any]:
    from .measure import memory

    return memory(request["kind"], *_package(request), request["batch"], request["threads"])


def _baseline(request: dict[str, Any]) -> dict[str, Any]:
    from .measure import baseline

    return baseline(request["kind"])


def _evaluation(request: dict[str, Any]) -> dict[str, Any]:
    from .measure import evaluation

    return evaluation(request["kind"], *_package(request), request["threads"])


def _package(request: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    folder = Path(request["package"])
    return folder, parse_manifest((folder / MANIFEST_NAME).read_bytes()).manifest


OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "load": _load,
    "survey": _survey,
    "golden": _golden,
    "latency": _latency,
    "memory": _memory,
    "baseline": _baseline,
    "evaluation": _evaluation,
}
