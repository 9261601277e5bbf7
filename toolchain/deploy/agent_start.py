"""Starting the agent on a device, which is sent there first where it is absent.

Rules:
    * The agent's name holds its hash: a device that has the file has exactly this agent.
    * A file of the final name is always whole: it is checked, synced and then renamed.
    * A device without Python, or with one that is too old, is told apart from an agent that fails.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgepack.toolchain.deploy.agent_bundle import agent_bundle
from edgepack.toolchain.deploy.connection import run
from edgepack.toolchain.deploy.line_reader import LineReader, first_fault, last_line, shown
from edgepack.toolchain.deploy.messages import PROTOCOL, Hello
from edgepack.toolchain.errors import AgentError, DeployError

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.connection import Connection, Stream
    from edgepack.toolchain.deploy.inventory import Device

_MAX_LINES_BEFORE_HELLO = 200
_PYTHON_TOO_OLD = 3
# Runs on whatever Python the device has, so its first lines are written for Python 2 and 3 alike.
_RECEIVE_AGENT = """
import hashlib, os, sys
if sys.version_info < (3, 9):
    sys.stderr.write(sys.version.split()[0])
    sys.exit(3)
path, size, sha256 = sys.argv[1], int(sys.argv[2]), sys.argv[3]
data = sys.stdin.buffer.read(size)
if hashlib.sha256(data).hexdigest() != sha256:
    sys.exit("the agent arrived damaged")
os.makedirs(os.path.dirname(path), exist_ok=True)
part = "%s.part-%d" % (path, os.getpid())
with open(part, "wb") as file:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
os.replace(part, path)
"""


def start_agent(connection: Connection, device: Device) -> tuple[Stream, LineReader, Hello]:
    """Start the agent; where it does not greet because it is not there, send it and start it again."""
    bundle = agent_bundle()
    work_dir = _from_home(device.work_dir)
    path = f"{work_dir}/agent/{bundle.filename}"
    argv = [device.python, "-I", "-S", path, "serve", "--work-dir", work_dir]
    for is_sent in (False, True):
        stream = connection.open_stream(argv)
        try:
            lines = LineReader(stream)
            hello = _read_hello(lines, device)
            if hello is not None:
                return stream, lines, hello
            ended = stream.finish(timeout_s=device.connect_timeout_s)
            _require_python(ended.status, ended.stderr, device)
            if is_sent:
                message = f"{device.name}: the agent does not start. {last_line(ended.stderr)}".rstrip()
                raise AgentError(
                    message, remedy=f"Try it on the device: {' '.join(argv)}", code="agent_ended"
                )
            stream.close()
        except BaseException:
            stream.close()
            raise
        _send_agent(connection, device, path)
    raise AssertionError  # the second turn returns or raises


def _from_home(path: str) -> str:
    """Return a path that is right in the home folder, where programs start: no shell expands the `~`."""
    return path[2:] or "." if path.startswith("~/") else path


def _read_hello(lines: LineReader, device: Device) -> Hello | None:
    """Return the greeting; None where the program ended without one. Login scripts may print before it."""
    first = b""
    for _ in range(_MAX_LINES_BEFORE_HELLO):
        line = lines.read_line(device.answer_timeout_s)
        if line is None:
            return None
        first = first or line
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict) and value.get("type") == "hello":
                return _check_hello(value, line, device)
    message = f"{device.name}: found {shown(first)} where the agent's greeting should be."
    remedy = "Silence what the login scripts of the device print when no terminal is attached (~/.bashrc)."
    raise AgentError(message, remedy=remedy)


def _check_hello(value: dict[str, Any], line: bytes, device: Device) -> Hello:
    if value.get("protocol") != PROTOCOL:
        found = value.get("protocol")
        message = f"{device.name}: the agent speaks protocol {found!r}; this edgepack speaks {PROTOCOL}."
        raise AgentError(message, remedy="Use the edgepack that put this agent there, or upgrade edgepack.")
    try:
        return Hello.model_validate(value)
    except ValidationError as err:
        message = f"{device.name}: the agent's greeting is wrong ({first_fault(err)}): {shown(line)}"
        raise AgentError(message, remedy=f"Check what '{device.python}' on the device is.") from err


def _send_agent(connection: Connection, device: Device, path: str) -> None:
    """Put the agent on the device, checked and renamed into place."""
    bundle = agent_bundle()
    argv = [device.python, "-c", _RECEIVE_AGENT, path, str(len(bundle.data)), bundle.sha256]
    done = run(connection, argv, data=bundle.data, timeout_s=device.answer_timeout_s)
    _require_python(done.status, done.stderr, device)
    if done.status != 0:
        message = f"{device.name}: the agent cannot be stored in {device.work_dir}. {last_line(done.stderr)}"
        remedy = "Make room or correct the rights there, or set 'work_dir' in lab.toml to another folder."
        raise DeployError(message.rstrip(), remedy=remedy)


def _require_python(status: int | None, stderr: str, device: Device) -> None:
    """Raise where the exit status says that the device has no Python, or one that is too old."""
    if status in (126, 127):
        message = f"{device.name} has no Python at '{device.python}'."
        remedy = "Install it there (`sudo apt install python3`), or set 'python' in lab.toml."
        raise DeployError(message, remedy=remedy)
    if status == _PYTHON_TOO_OLD:
        found = shown(stderr.encode())
        message = f"{device.name} has Python {found} at '{device.python}'; the agent needs 3.9 or later."
        remedy = "Install a newer Python there, and set 'python' of the device in lab.toml to it."
        raise DeployError(message, remedy=remedy)
