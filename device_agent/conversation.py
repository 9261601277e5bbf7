"""A process of its own that has loaded a runtime and answers one request after the other.

Between two requests it waits for the next line and uses no CPU: whoever asks can read the device's state, or
what it draws while it is idle. The process ends itself when the pipe to it closes, so that a job that was
killed leaves no benchmark running.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from .children import agent_command, answer_of, broken, crashed, order_for

if TYPE_CHECKING:
    from types import TracebackType

    from .runtimes import Runtime

_MAX_LINE_BYTES = 256 << 20
_END_TIMEOUT_S = 10.0


class Conversation:
    """A child that answers requests until it is closed.

    Args:
        runtime: What the process loads.
        request: Opens the conversation: `op` and that operation's fields (`child.py`).
    """

    def __init__(self, runtime: Runtime, request: dict[str, Any]) -> None:
        pipe = subprocess.PIPE
        command = agent_command("child", system_site=runtime.system_site)
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self._received = bytearray()
        self._last_words = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._send(order_for(runtime, request))

    def ask(self, operation: str, *, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            AgentError: The child's own error, or `runtime_broken`: it crashed, hung, or answered nonsense.
        """
        self._send({"op": operation, **fields})
        return answer_of(self._read_line(operation, timeout_s))

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            if self._child.stdin:
                self._child.stdin.close()
        try:
            self._child.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._listener.join(_END_TIMEOUT_S)
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._child.kill()
        self.close()

    def _send(self, message: dict[str, Any]) -> None:
        stream = self._child.stdin
        with contextlib.suppress(BrokenPipeError):  # what the child died of comes out when its answer is read
            if stream:
                stream.write(json.dumps(message).encode() + b"\n")
                stream.flush()

    def _read_line(self, operation: str, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._received[-65536:]:
            chunk = self._read_some(operation, deadline, timeout_s)
            if not chunk or len(self._received) > _MAX_LINE_BYTES:
                raise self._failure(operation)
            self._received += chunk
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        try:
            answer = json.loads(line)
        except ValueError:
            raise self._failure(operation) from None
        if not isinstance(answer, dict):
            raise self._failure(operation)
        return answer

    def _read_some(self, operation: str, deadline: float, timeout_s: float) -> bytes:
        stream = self._child.stdout
        if stream is None:
            return b""
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self._child.kill()
            message = f"The runtime did not finish '{operation}' within {timeout_s:.0f} s."
            raise broken(message)
        return stream.read1(1 << 16)  # type: ignore[attr-defined,no-any-return]

    def _failure(self, operation: str) -> Exception:
        try:
            status = self._child.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        self._listener.join(_END_TIMEOUT_S)
        return crashed(operation, status, self._last_words)

    def _listen(self) -> None:
        """Pass on what the child prints: a pipe that nobody empties would stop it in the middle of a run."""
        stream = self._child.stderr
        for line in stream or ():
            said = line.decode("utf-8", "replace")
            sys.stderr.write(said)
            self._last_words = said.strip() or self._last_words
