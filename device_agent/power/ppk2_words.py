"""Decode the stream of a Nordic Power Profiler Kit II: 100,000 words of 32 bits a second.

    bits 0-13   reading of the converter, in steps of 4
    bits 14-16  measuring range, 0 (finest) to 4
    bits 18-23  counter of samples, modulo 64: what was lost shows
    bits 24-31  digital inputs, not used here

    x = (4 reading - O[r]) k / R[r],  k = 1.8 / 163840
    I = UG[r] (x (GS[r] x + GI[r]) + S[r] V + I[r])      amperes, V the supply in volts

R (shunt in ohms), O, GS, GI, S, I and UG are the calibration of each range, which the kit sends as text.
After a change of range the converter rings: the next three samples are replaced by a moving average.

Source: github.com/NordicSemiconductor/pc-nrfconnect-ppk, src/device/serialDevice.ts (masks, formula, filter
constants) as of release 4; the words' layout and the text of the metadata.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

SAMPLE_RATE_HZ = 100_000
RANGES = 5
_ADC_GAIN = 1.8 / 163840
_COUNTER_SIZE = 64
_SPIKE_SAMPLES = 3
_SPIKE_ALPHA = 0.18
_SPIKE_ALPHA_TOP = 0.06
_LINE = re.compile(
    r"^(R|GS|GI|O|S|I|UG)([0-4]): (-?\d{1,12}(?:\.\d{1,12})?(?:[eE][+-]?\d{1,2})?)\s*$", re.MULTILINE
)
_DEFAULT_SHUNTS_OHM = (1031.64, 101.65, 10.15, 0.94, 0.043)


@dataclass
class Calibration:
    """The calibration of the five ranges; the defaults are those of an uncalibrated kit."""

    R: list[float] = field(default_factory=lambda: list(_DEFAULT_SHUNTS_OHM))
    O: list[float] = field(default_factory=lambda: [0.0] * RANGES)  # noqa: E741 - the kit's own name
    GS: list[float] = field(default_factory=lambda: [1.0] * RANGES)
    GI: list[float] = field(default_factory=lambda: [1.0] * RANGES)
    S: list[float] = field(default_factory=lambda: [0.0] * RANGES)
    I: list[float] = field(default_factory=lambda: [0.0] * RANGES)  # noqa: E741
    UG: list[float] = field(default_factory=lambda: [1.0] * RANGES)


def parse_metadata(text: str) -> Calibration:
    """Return the calibration out of the kit's metadata; a shunt of 0 ohm keeps its default.

    Raises:
        ValueError: The text holds none.
    """
    calibration = Calibration()
    found = _LINE.findall(text)
    if not found:
        message = f"no calibration in the kit's metadata {text[:80]!r}"
        raise ValueError(message)
    for name, index, number in found:
        if name != "R" or float(number) > 0:
            getattr(calibration, name)[int(index)] = float(number)
    return calibration


class WordDecoder:
    """Turn bytes into amperes, keeping count of what was lost.

    Args:
        calibration: The kit's own.
        supply_v: Voltage of the supply.
    """

    def __init__(self, calibration: Calibration, supply_v: float) -> None:
        self._calibration = calibration
        self._offsets_a = [calibration.S[index] * supply_v + calibration.I[index] for index in range(RANGES)]
        self._scales = [_ADC_GAIN / calibration.R[index] for index in range(RANGES)]
        self._rest = b""
        self._counter: int | None = None
        self._range: int | None = None
        self._ringing = 0
        self._average = self._average_top = 0.0
        self.coarsest_step_a = 0.0

    def decode(self, data: bytes) -> tuple[list[float], int]:
        """Return the amperes of the whole words in `data`, and how many samples were lost before them.

        More than 63 lost samples show modulo 64; the stream's rate tells the rest (`ppk2.py`).
        """
        data = self._rest + data
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        amperes = []
        lost = 0
        for word in struct.unpack(f"<{whole // 4}I", data[:whole]):
            counter = word >> 18 & 0x3F
            if self._counter is not None:
                lost += (counter - self._counter - 1) % _COUNTER_SIZE
            self._counter = counter
            amperes.append(self._amperes(word))
        return amperes, lost

    def _amperes(self, word: int) -> float:
        index = min(word >> 14 & 0x7, RANGES - 1)
        at = self._calibration
        x = ((word & 0x3FFF) * 4 - at.O[index]) * self._scales[index]
        value = at.UG[index] * (x * (at.GS[index] * x + at.GI[index]) + self._offsets_a[index])
        self.coarsest_step_a = max(self.coarsest_step_a, 4 * self._scales[index])
        return self._without_ringing(index, value)

    def _without_ringing(self, index: int, value: float) -> float:
        """Replace the samples after a change of range by a moving average, as Nordic's own program does."""
        before = (self._average, self._average_top)
        if self._range is None:
            self._average = self._average_top = value
        self._average += _SPIKE_ALPHA * (value - self._average)
        self._average_top += _SPIKE_ALPHA_TOP * (value - self._average_top)
        if self._range is not None and index != self._range:
            self._ringing = _SPIKE_SAMPLES
        self._range = index
        if not self._ringing:
            return value
        if index == RANGES - 1 and self._ringing > 1:
            self._average, self._average_top = before
        self._ringing -= 1
        return self._average_top if index == RANGES - 1 else self._average
