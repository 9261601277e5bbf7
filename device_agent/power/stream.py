"""Take in what a meter or a program sends by itself, from a thread that only waits and decodes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Callable, Protocol

if TYPE_CHECKING:
    from .samples import Samples
    from .source import Traits

_CHUNK_BYTES = 65_536
_FIRST_SAMPLE_TIMEOUT_S = 10.0


class Stream(Protocol):
    """An open device or program whose bytes become samples."""

    @property
    def traits(self) -> Traits:
        """What the arithmetic has to know."""

    def fileno(self) -> int:
        """Return the descriptor to read."""

    def feed(self, data: bytes, arrived_ns: int, samples: Samples) -> None:
        """Decode bytes that were here at `arrived_ns`; count what was lost with `samples.drop`."""

    def ended(self) -> str:
        """Return why there will be no more bytes."""

    def close(self) -> None:
        """Stop the meter and close it."""


class StreamSource:
    """A source that opens a stream at its first window and keeps it open between windows.

    Args:
        open_stream: Opens the device. Its OSError becomes the reason why there is no value.
        traits: What is known before the stream is open.
        settle_s: How long the stream runs before the first window: until its clock is known.
    """

    def __init__(self, open_stream: Callable[[], Stream], traits: Traits, *, settle_s: float = 0.0) -> None:
        self._open = open_stream
        self._traits = traits
        self._settle_s = settle_s
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def traits(self) -> Traits:
        """What the arithmetic has to know."""
        return self._stream.traits if self._stream else self._traits

    def start(self, samples: Samples) -> None:
        """Open the stream unless it runs; return once a sample is in or cannot be had."""
        if self._thread is not None or samples.fault:
            return
        try:
            self._stream = self._open()
        except (OSError, ValueError) as err:
            samples.fail(f"the meter cannot be opened: {err}")
            return
        self._thread = threading.Thread(target=self._run, args=(samples,), name="power-stream", daemon=True)
        self._thread.start()
        if not samples.wait_for(0, _FIRST_SAMPLE_TIMEOUT_S):
            samples.fail(f"the meter sent no sample within {_FIRST_SAMPLE_TIMEOUT_S:.0f} s")
        self._stop.wait(self._settle_s)

    def rest(self) -> None:
        """Go on: a stream that stops loses its clock."""

    def objection(self, from_ns: int, to_ns: int, joules: float) -> str | None:
        """Return None: what speaks against a stream is in its samples."""

    def close(self) -> None:
        """End the thread and close the stream."""
        self._stop.set()
        if self._thread:
            self._thread.join(2.0)
        if self._stream:
            with contextlib.suppress(OSError):  # it may have gone away already
                self._stream.close()
            self._stream = None

    def _run(self, samples: Samples) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            while not self._stop.is_set():
                if not select.select([stream], [], [], 0.1)[0]:
                    continue
                data = os.read(stream.fileno(), _CHUNK_BYTES)
                if not data:
                    samples.fail(stream.ended())
                    return
                stream.feed(data, time.monotonic_ns(), samples)
        except Exception as err:
            samples.fail(f"the meter went away: {str(err) or type(err).__name__}")
