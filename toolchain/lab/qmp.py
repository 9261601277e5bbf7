"""The monitor of an emulated machine: QEMU's JSON protocol over a socket.

Source: QEMU Machine Protocol Specification, and its command reference.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

SOCKET = "monitor.sock"
_TIMEOUT_S = 30.0
_MAX_LINE_BYTES = 1 << 20


def monitor(folder: Path, command: str, **arguments: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Give one command to the machine whose monitor lies in a folder, and return its answer.

    Raises:
        LabError: The machine does not answer, or refused the command.
    """
    # The path of a socket may have 107 bytes, and folders are longer: name it through an open folder.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_TIMEOUT_S)
            link.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            with link.makefile("rb") as lines:
                _line(lines)  # the greeting
                _ask(link, lines, {"execute": "qmp_capabilities"})
                return _ask(link, lines, {"execute": command, "arguments": arguments})
    except (OSError, ValueError, TypeError) as err:
        message = f"The monitor of the machine in {folder} does not answer: {err}."
        raise LabError(
            message, remedy="Look for it with `edgepack lab list`, and at its console.log."
        ) from err
    finally:
        os.close(descriptor)


def human_monitor(folder: Path, line: str) -> str:
    """Give a command of the monitor for people, and return what it prints.

    Raises:
        LabError: The machine does not answer, or printed an error.
    """
    told = str(monitor(folder, "human-monitor-command", **{"command-line": line}))
    if told.lower().startswith("error"):
        message = f"`{line}`: {told.strip()}"
        raise LabError(message, remedy="Check the name and the free disk space.")
    return told


def _ask(link: socket.socket, lines: Any, request: dict[str, Any]) -> Any:  # noqa: ANN401 - a file; any JSON value
    link.sendall(json.dumps(request).encode() + b"\n")
    while True:
        answer = _line(lines)
        if "error" in answer:
            message = f"QEMU refused {request['execute']}: {answer['error'].get('desc')}"
            raise LabError(message, remedy="Start the device anew: edgepack lab down, then edgepack lab up.")
        if "return" in answer:  # else an event
            return answer["return"]


def _line(lines: Any) -> dict[str, Any]:  # noqa: ANN401 - a file
    line = lines.readline(_MAX_LINE_BYTES)
    if not line:
        message = "the connection was closed"
        raise OSError(message)
    value = json.loads(line)
    if not isinstance(value, dict):
        message = "not a JSON object"
        raise TypeError(message)
    return value
