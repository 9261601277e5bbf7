"""Nordic Power Profiler Kit II, cabled to this machine by USB.

As `ampere` meter it sits in the line of another supply, whose voltage the settings state (the kit measures
current only). As `source` it gives the voltage itself, 0.8 V to 5 V and up to 1 A. Closing leaves the device
powered.

100,000 samples a second are averaged to 1,000. The kit is read directly: its own counter of samples, which
Nordic's library for Python leaves out, shows what was lost.

Source: as `ppk2_words.py`; commands from src/constants.ts there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .clock_map import ClockMap
from .found import Found
from .ppk2_words import SAMPLE_RATE_HZ, WordDecoder, parse_metadata
from .serial_port import SerialPort
from .source import Traits
from .stream import StreamSource

if TYPE_CHECKING:
    from .ppk2_words import Calibration
    from .samples import Samples
    from .settings import Settings

_AVERAGE_START, _AVERAGE_STOP = b"\x06", b"\x07"
_DEVICE_ON = b"\x0c\x01"
_SET_REGULATOR = 0x0D
_AMPERE_MODE, _SOURCE_MODE = b"\x11\x01", b"\x11\x02"
_GET_METADATA = b"\x19"
_BAUD = 115_200
_METADATA_TIMEOUT_S = 3.0
_AVERAGED = 100
_SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE_HZ
# A stream that stays behind its own clock for a second has lost what the counter cannot tell (64 and more).
# For a moment it may be behind: this process was not scheduled, and catches up.
_BEHIND_FOR_NS = 1_000_000_000
_MOST_BEHIND_NS = 10_000_000
_MAX_DROPPED = 0.001
_COVERS = {
    "ampere": "what flows through the kit's VIN and VOUT, at the supply's stated voltage",
    "source": "everything that the kit supplies at VOUT, at its set voltage",
}


def regulator_command(source_mv: int) -> bytes:
    """Return the command that sets the supply's voltage: 800 mV is 3, 32; each millivolt adds one."""
    high, low = divmod(source_mv - 800 + 32, 256)
    return bytes((_SET_REGULATOR, 3 + high, low))


class Kit:
    """The kit, measuring, as a stream.

    Args:
        settings: Port, voltage and mode.

    Raises:
        OSError: It cannot be opened, or does not answer.
        ValueError: It answers without a calibration.
    """

    def __init__(self, settings: Settings) -> None:
        self._supply_v = (settings.source_mv or 0) / 1000
        self._port = SerialPort(str(settings.port), _BAUD)
        try:
            self._decoder = WordDecoder(self._set_up(settings), self._supply_v)
        except BaseException:
            self._port.close()
            raise
        self._clock = ClockMap()
        self._pending: list[float] = []
        self._taken = 0
        self._lost = 0
        self._behind: tuple[int, int] | None = None

    @property
    def traits(self) -> Traits:
        """What the arithmetic has to know; the step is that of the coarsest range that was used."""
        return Traits(
            resolution_w=self._decoder.coarsest_step_a * self._supply_v or None,
            late_ns=100_000_000,
            max_dropped_share=_MAX_DROPPED,
        )

    def fileno(self) -> int:
        """Return the descriptor to read."""
        return self._port.descriptor

    def feed(self, data: bytes, arrived_ns: int, samples: Samples) -> None:
        """Store the average power of each hundred words."""
        amperes, lost = self._decoder.decode(data)
        self._taken += len(amperes) + lost
        self._pending += amperes
        self._clock.observe(self._taken * _SAMPLE_NS, arrived_ns)
        self._catch_up(arrived_ns)
        self._lost += lost
        if self._lost >= _AVERAGED:
            samples.drop(arrived_ns, self._lost // _AVERAGED)
            self._lost %= _AVERAGED
        first = self._taken - len(self._pending)
        whole = len(self._pending) // _AVERAGED * _AVERAGED
        for start in range(0, whole, _AVERAGED):
            mean_a = sum(self._pending[start : start + _AVERAGED]) / _AVERAGED
            middle_ns = (first + start + _AVERAGED // 2) * _SAMPLE_NS
            samples.add(self._clock.monotonic_ns(middle_ns), mean_a * self._supply_v)
        del self._pending[:whole]

    def ended(self) -> str:
        """Return why there will be no more bytes."""
        return f"the PPK2 at {self._port.path} was unplugged"

    def close(self) -> None:
        """Stop measuring; the device keeps its power."""
        try:
            self._port.write(_AVERAGE_STOP)
        finally:
            self._port.close()

    def _set_up(self, settings: Settings) -> Calibration:
        self._port.write(_AVERAGE_STOP)
        self._port.discard()
        self._port.write(_GET_METADATA)
        text = self._port.read_until(b"END", _METADATA_TIMEOUT_S).decode("ascii", "replace")
        self._port.discard()
        self._port.write(_SOURCE_MODE if settings.mode == "source" else _AMPERE_MODE)
        self._port.write(regulator_command(settings.source_mv or 0))
        self._port.write(_DEVICE_ON)
        self._port.write(_AVERAGE_START)
        return parse_metadata(text)

    def _catch_up(self, arrived_ns: int) -> None:
        """Count what the counter cannot show: the stream fell behind its rate for good."""
        behind_ns = arrived_ns - self._clock.peek_ns(self._taken * _SAMPLE_NS)
        since_ns, least_ns = self._behind or (arrived_ns, behind_ns)
        least_ns = min(least_ns, behind_ns)
        self._behind = (since_ns, least_ns)
        if arrived_ns - since_ns < _BEHIND_FOR_NS:
            return
        self._behind = None
        if least_ns > _MOST_BEHIND_NS:
            missed = least_ns // _SAMPLE_NS
            self._lost += missed
            self._taken += missed
            self._pending.clear()


def find(settings: Settings) -> list[Found]:
    """Return the kit that the settings name."""
    if settings.kind != "ppk2":
        return []
    reason, remedy = missing_port(str(settings.port))
    return [
        Found(
            "ppk2",
            "ppk2",
            str(settings.port),
            _COVERS[settings.mode],
            lambda: make_source(settings),
            reason,
            remedy,
        )
    ]


def make_source(settings: Settings) -> StreamSource:
    """Return a source of what the kit measures."""
    return StreamSource(lambda: Kit(settings), Traits(max_dropped_share=_MAX_DROPPED), settle_s=0.3)


def missing_port(path: str) -> tuple[str | None, str | None]:
    """Return why a serial device cannot be used, and what to do; None, None where nothing is known yet."""
    if not os.path.exists(path):
        return f"{path} does not exist", "Plug the meter in, and give its device file as `port` in lab.toml."
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path}: permission denied", "Run `sudo usermod -aG dialout $USER`, then log in again."
    return None, None
