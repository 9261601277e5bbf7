"""A user's own program that prints timestamped watts: any meter that edgepack does not know.

The program runs for the whole measurement and prints one line a sample, flushed:
    1700000000.125 3.217            seconds and watts
    {"t": 1700000000.125, "w": 3.217}
Seconds are Unix time, or CLOCK_MONOTONIC of the same machine: a number above 10^9 is Unix time, which no
uptime reaches. Unix time is mapped once, at the start. Lines that begin with `#` are passed over; others that
cannot be read count as lost samples. Standard error is kept for the reason if the program ends.

Rules: no shell; the program gets a process group of its own and is ended with it; a line is at most 256
bytes; of standard error the last 2 KB are kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from .found import Found
from .source import Traits
from .stream import StreamSource

if TYPE_CHECKING:
    from .samples import Samples
    from .settings import Settings

_COVERS = "what your own program measures"
_MOST_LINE_BYTES = 256
_KEPT_ERROR_BYTES = 2048
_UNIX_FROM_S = 1e9
_AHEAD_S = 1.0
_BEHIND_S = 60.0
_MOST_W = 100_000
_STOP_TIMEOUT_S = 2.0
_PAIR = re.compile(rb"([0-9.]{1,40})[ \t,;]+(-?[0-9.]{1,40}(?:[eE][+-]?\d{1,3})?)")


def parse_line(line: bytes) -> tuple[float, float] | None:
    """Return seconds and watts of a line; None for a blank line or a remark.

    Raises:
        ValueError: The line is neither.
    """
    line = line.strip()
    if not line or line.startswith(b"#"):
        return None
    if line.startswith(b"{"):
        found = json.loads(line)
        seconds, watts = found.get("t"), found.get("w")
        if isinstance(seconds, bool) or isinstance(watts, bool):
            seconds = None
    else:
        match = _PAIR.fullmatch(line)
        seconds, watts = (float(match[1]), float(match[2])) if match else (None, None)
    numbers = isinstance(seconds, (int, float)) and isinstance(watts, (int, float))
    if not numbers or not math.isfinite(seconds) or not -_MOST_W <= watts <= _MOST_W:
        message = f"not a line of seconds and watts: {line[:80]!r}"
        raise ValueError(message)
    return float(seconds), float(watts)


class Program:
    """The running program, as a stream.

    Args:
        command: Program and arguments.
        traits: What the arithmetic has to know.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, command: tuple[str, ...], traits: Traits) -> None:
        self.traits = traits
        self._name = os.path.basename(command[0])
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._unix_to_monotonic_ns = time.monotonic_ns() - time.time_ns()
        self._pending = b""
        self._said = b""
        self._listener = threading.Thread(target=self._keep_errors, name="power-errors", daemon=True)
        self._listener.start()

    def fileno(self) -> int:
        """Return the descriptor of its output."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def feed(self, data: bytes, arrived_ns: int, samples: Samples) -> None:
        """Store the samples of the lines in `data`."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > _MOST_LINE_BYTES:
            self._pending = b"?"
            samples.drop(arrived_ns)
        for line in lines:
            try:
                found = parse_line(line[: _MOST_LINE_BYTES + 1])
                if found:
                    samples.add(self._clock_ns(found[0], arrived_ns), found[1])
            except (ValueError, RecursionError, AttributeError) as err:
                samples.drop(arrived_ns, why=str(err)[:200])

    def ended(self) -> str:
        """Return how the program ended and its last words."""
        try:
            status = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"{self._name} closed its output"
        self._listener.join(_STOP_TIMEOUT_S)
        words = self._said.decode("utf-8", "replace").strip().splitlines()[-1:]
        how = f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
        return f"{self._name} {how}" + (f": {words[0][:200]}" if words else "")

    def close(self) -> None:
        """End the program and all that it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_TIMEOUT_S)
                break
        self._listener.join(_STOP_TIMEOUT_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    def _clock_ns(self, seconds: float, arrived_ns: int) -> int:
        clock_ns = round(seconds * 1e9)
        if seconds > _UNIX_FROM_S:
            clock_ns += self._unix_to_monotonic_ns
        if not -_BEHIND_S <= (clock_ns - arrived_ns) / 1e9 <= _AHEAD_S:
            message = f"the time {seconds} is neither Unix time nor the monotonic clock of this machine"
            raise ValueError(message)
        return clock_ns

    def _keep_errors(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while True:
                data = self._process.stderr.read(_KEPT_ERROR_BYTES)
                if not data:
                    return
                self._said = (self._said + data)[-_KEPT_ERROR_BYTES:]


def find(settings: Settings) -> list[Found]:
    """Return the program that the settings name."""
    if settings.kind != "command":
        return []
    program = shutil.which(settings.command[0])
    reason = None if program else f"no program {settings.command[0]!r} that may be run"
    remedy = None if program else "Correct `command` in `[devices.NAME.power]` of lab.toml."
    return [
        Found(
            "command", "command", settings.command[0], _COVERS, lambda: make_source(settings), reason, remedy
        )
    ]


def make_source(settings: Settings) -> StreamSource:
    """Return a source of what the program prints."""
    traits = Traits(late_ns=500_000_000)
    return StreamSource(lambda: Program(settings.command, traits), traits)
