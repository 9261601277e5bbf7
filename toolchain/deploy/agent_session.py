"""A conversation with the agent on a device: the host's side of `device_agent/PROTOCOL.md`.

Rules:
    * Requests are answered in order; one thread at a time uses a session.
    * What the device says is bounded (a line has at most 1 MiB) and checked before anything uses it.
    * A link that fails is a `NetworkError`; a device that answers, but badly, is an `AgentError`.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

from edgepack.toolchain.deploy.agent_start import start_agent
from edgepack.toolchain.deploy.connection import Cancellation, connect
from edgepack.toolchain.deploy.line_reader import first_fault, last_line, printable, shown
from edgepack.toolchain.deploy.messages import MAX_LINE_BYTES, Failure, Message, Progress
from edgepack.toolchain.errors import AgentError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.toolchain.deploy.connection import Stream
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.deploy.line_reader import LineReader
    from edgepack.toolchain.deploy.messages import Hello
    from edgepack.toolchain.progress import Report

T = TypeVar("T", bound=Message)
_CHUNK_BYTES = 1 << 18


@contextlib.contextmanager
def open_session(
    device: Device, lab: Lab, *, cancellation: Cancellation | None = None
) -> Iterator[AgentSession]:
    """Connect to a device, start the agent there (sent first where it is absent), and end both afterwards.

    Args:
        device: The device.
        lab: The inventory that it is part of.
        cancellation: Ends the session from another thread.

    Raises:
        NetworkError: The device does not answer.
        HostKeyError: Its host key is unknown or has changed.
        DeployError: It refused the login, or has no Python 3.9 or later.
        AgentError: The agent does not start, or speaks another protocol.
    """
    cancellation = cancellation or Cancellation()
    connection = connect(device, lab)
    cancellation.add(connection)
    try:
        stream, lines, hello = start_agent(connection, device)
        try:
            yield AgentSession(stream, lines, hello, device)
        finally:
            stream.close()
    finally:
        cancellation.discard(connection)
        connection.close()


class AgentSession:
    """A running agent.

    Attributes:
        hello: Its greeting.
        device: The device that it runs on.
    """

    def __init__(self, stream: Stream, lines: LineReader, hello: Hello, device: Device) -> None:
        self.hello = hello
        self.device = device
        self._stream = stream
        self._lines = lines
        self._next_id = 1

    def request(
        self,
        kind: str,
        answer: type[T],
        /,
        *,
        progress: Report | None = None,
        timeout_s: float | None = None,
        payload: Iterable[bytes | memoryview] = (),
        **fields: Any,  # noqa: ANN401 - JSON values
    ) -> T:
        """Send a request and return its answer.

        Args:
            kind: The request's `type`, such as "probe".
            answer: The model that the answer must fit.
            progress: Called with stage, done and total for each progress message.
            timeout_s: Seconds that the agent may be silent; None for the device's `answer_timeout_s`.
            payload: Raw bytes that follow the request's line.
            **fields: The request's other fields.

        Raises:
            AgentError: The agent reports a failure, ends, or does not answer as the protocol says.
            NetworkError: The link failed, or the agent was silent for too long.
        """
        timeout_s = timeout_s or self.device.answer_timeout_s
        request_id = self._next_id
        self._next_id += 1
        line = json.dumps({"id": request_id, "type": kind, **fields}).encode() + b"\n"
        if len(line) > MAX_LINE_BYTES:
            message = f"The request '{kind}' has {len(line)} bytes; the protocol allows {MAX_LINE_BYTES}."
            raise AgentError(message, remedy="Split the package: it has too many files for one request.")
        # An agent that no longer reads has said why, or has ended; either way its output tells.
        with contextlib.suppress(BrokenPipeError):
            self._stream.send(line, timeout_s=timeout_s)
            for chunk in payload:
                self._stream.send(chunk, timeout_s=timeout_s)
        return self._answer(kind, request_id, answer, progress, timeout_s)

    def fetch(self, size_bytes: int, *, progress: Report | None = None) -> Iterator[bytes]:
        """Yield the raw bytes that follow an answer, all `size_bytes` of them.

        Raises:
            AgentError: The agent ended before the last byte.
            NetworkError: The link failed, or the agent was silent for too long.
        """
        left = size_bytes
        while left:
            chunk = self._lines.read_bytes(min(left, _CHUNK_BYTES), self.device.answer_timeout_s)
            if not chunk:
                raise self._ended()
            left -= len(chunk)
            yield chunk
            if progress:
                progress("fetch", size_bytes - left, size_bytes)

    def _answer(
        self, kind: str, request_id: int, answer: type[T], progress: Report | None, timeout_s: float
    ) -> T:
        """Read progress messages until the answer to a request comes."""
        while True:
            line = self._lines.read_line(timeout_s)
            if line is None:
                raise self._ended()
            try:
                value = json.loads(line)
                message_type = value.get("type") if isinstance(value, dict) else None
                if message_type == "error":
                    failure = Failure.model_validate(value)
                    raise AgentError(
                        self._said(failure.message), remedy=printable(failure.remedy), code=failure.code
                    )
                if not isinstance(value, dict) or value.get("id") != request_id:
                    raise self._misspoke(kind, line)
                if message_type == "progress":
                    step = Progress.model_validate(value)
                    if progress:
                        progress(step.stage, step.done, step.total)
                    continue
                if message_type != "result":
                    raise self._misspoke(kind, line)
                return answer.model_validate(value)
            except (ValueError, RecursionError) as err:
                raise self._misspoke(kind, line, err) from err

    def _ended(self) -> AgentError | NetworkError:
        """Return the error of an agent that is no longer there."""
        ended = self._stream.finish(timeout_s=self.device.connect_timeout_s)
        how = "was killed" if ended.status is None else f"ended with status {ended.status}"
        message = self._said(f"the agent {how}. {last_line(ended.stderr)}".rstrip())
        remedy = (
            "Run the same command again. If it happens each time, check the device's memory with `dmesg`."
        )
        return AgentError(message, remedy=remedy, code="agent_ended")

    def _misspoke(self, kind: str, line: bytes, cause: Exception | None = None) -> AgentError:
        """Return the error of an answer that is not as the protocol says."""
        reason = f" ({first_fault(cause)})" if cause else ""
        message = self._said(f"the answer to '{kind}' is not as the protocol says{reason}: {shown(line)}")
        return AgentError(message, remedy="Check what runs on the device under the name of the agent.")

    def _said(self, message: str) -> str:
        return f"{self.device.name}: {printable(message)}"
