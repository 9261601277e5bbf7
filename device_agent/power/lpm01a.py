"""ST X-NUCLEO-LPM01A (and the shield of the STM32L562E-DK), cabled to this machine by USB.

The shield supplies the target, 1.8 V to 3.3 V and up to 50 mA, and integrates: each sample is the energy
since the one before, as MLPerf Tiny uses it, so nothing happens unseen between samples. Up to 1,000 samples
a second come as text, more in binary. The shield's time stamps must agree with the number of samples between
them; what is missing is counted as lost. Closing leaves the target powered.

Source: ST UM2269 "Getting started with PowerShield firmware", list of commands; UM2243 for the board.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock_map import ClockMap
from .found import Found
from .lpm01a_stream import AsciiDecoder, BinaryDecoder
from .ppk2 import missing_port
from .serial_port import SerialPort
from .source import Traits
from .stream import StreamSource

if TYPE_CHECKING:
    from .lpm01a_stream import Decoded
    from .samples import Samples
    from .settings import Settings

_BAUD = 3_686_400
_REPLY_TIMEOUT_S = 3.0
_MAX_DROPPED = 0.001
_ASCII_UP_TO_HZ = 1000
_COVERS = "everything that the power shield supplies to the target board, at its set voltage"


class Shield:
    """The shield, measuring, as a stream.

    Args:
        settings: Port, voltage and rate.

    Raises:
        OSError: It cannot be opened, or does not answer.
        ValueError: It refuses a command.
    """

    def __init__(self, settings: Settings) -> None:
        self._rate_hz = settings.rate_hz
        text = settings.rate_hz <= _ASCII_UP_TO_HZ
        self._decoder: AsciiDecoder | BinaryDecoder = AsciiDecoder() if text else BinaryDecoder()
        self._port = SerialPort(str(settings.port), _BAUD)
        try:
            self._set_up(settings, "ascii_dec" if text else "bin_hexa")
        except BaseException:
            self._port.close()
            raise
        self._clock = ClockMap()
        self._taken = 0
        self._stamp: tuple[int, int] | None = None
        self._why_over: str | None = None

    @property
    def traits(self) -> Traits:
        """What the arithmetic has to know; a sample covers the time since the one before."""
        return Traits(
            late_ns=200_000_000,
            lag_ns=1_000_000_000 // self._rate_hz,
            max_dropped_share=_MAX_DROPPED,
        )

    def fileno(self) -> int:
        """Return the descriptor to read."""
        return self._port.descriptor

    def feed(self, data: bytes, arrived_ns: int, samples: Samples) -> None:
        """Store the power of each sample: its energy times the rate."""
        decoded = self._decoder.decode(data)
        first = self._taken
        self._taken += len(decoded.values) + decoded.damaged
        if decoded.damaged:
            samples.drop(arrived_ns, decoded.damaged)
        self._check_stamps(decoded, first, arrived_ns, samples)
        period_ns = 1_000_000_000 / self._rate_hz
        self._clock.observe(round(self._taken * period_ns), arrived_ns)
        start = self._taken - len(decoded.values)
        for index, joules in enumerate(decoded.values):
            middle_ns = round((start + index + 0.5) * period_ns)
            samples.add(self._clock.monotonic_ns(middle_ns), joules * self._rate_hz)
        if decoded.error or decoded.over:
            samples.fail(f"the power shield stopped: {decoded.error or 'acquisition ended'}")

    def ended(self) -> str:
        """Return why there will be no more bytes."""
        return f"the power shield at {self._port.path} was unplugged"

    def close(self) -> None:
        """Stop the acquisition and release the shield; the target keeps its power."""
        try:
            self._port.write(b"stop\n")
            self._port.discard()
            self._port.write(b"hrc\n")
        finally:
            self._port.close()

    def _check_stamps(self, decoded: Decoded, first: int, arrived_ns: int, samples: Samples) -> None:
        """Count the samples that should lie between two time stamps and do not."""
        for before, time_ms in decoded.times_ms:
            at = first + before
            if self._stamp:
                expected = (time_ms - self._stamp[1]) * self._rate_hz // 1000
                missing = expected - (at - self._stamp[0])
                if missing > 1:
                    samples.drop(arrived_ns, missing)
                    self._taken += missing
                    at += missing
                    first += missing
            self._stamp = (at, time_ms)

    def _set_up(self, settings: Settings, data_format: str) -> None:
        self._port.write(b"stop\n")
        self._port.discard()
        rate = f"{settings.rate_hz // 1000}k" if settings.rate_hz >= 1000 else str(settings.rate_hz)
        commands = (
            "htc",
            "output energy",
            f"format {data_format}",
            f"freq {rate}",
            "acqtime inf",
            "trigsrc sw",
            "trigdelay 0",
            f"volt {settings.source_mv}m",
            "pwrend on",
            "pwr on nostatus",
        )
        for command in commands:
            self._order(command)
        self._port.write(b"start\n")

    def _order(self, command: str) -> None:
        """Send a command and wait for its `ack`.

        Raises:
            ValueError: The shield answered `error`.
            OSError: It did not answer.
        """
        self._port.write(command.encode("ascii") + b"\n")
        answer = self._port.read_until(command.encode("ascii"), _REPLY_TIMEOUT_S)
        self._port.discard(0.01)
        if b"ack " + command.encode("ascii") not in answer:
            said = answer.decode("ascii", "replace").strip()[-120:]
            message = f"the power shield refuses {command!r}: {said}"
            raise ValueError(message)


def find(settings: Settings) -> list[Found]:
    """Return the shield that the settings name."""
    if settings.kind != "lpm01a":
        return []
    port = str(settings.port)
    reason, remedy = missing_port(port)
    return [Found("lpm01a", "lpm01a", port, _COVERS, lambda: make_source(settings), reason, remedy)]


def make_source(settings: Settings) -> StreamSource:
    """Return a source of what the shield measures."""
    return StreamSource(lambda: Shield(settings), Traits(max_dropped_share=_MAX_DROPPED), settle_s=0.3)
