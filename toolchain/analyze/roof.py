"""The roof that a device's hardware puts over every model: peak rates, and bandwidth by size of working set.

Rule: what is possible with less is possible with more. A smaller working set gets at least the bandwidth of a
larger one, more threads at least the rate of fewer; measurements that say otherwise were disturbed.

Source: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009), 65-76.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class MeasuredPeak(Protocol):
    """A measured rate; `results/profile_record.py` describes the fields."""

    @property
    def dtype(self) -> str:
        """Type of the operands."""

    @property
    def threads(self) -> int:
        """Number of threads."""

    @property
    def macs_per_s(self) -> float:
        """Multiply-accumulates per second."""


class MeasuredBandwidth(Protocol):
    """A measured bandwidth."""

    @property
    def working_set_bytes(self) -> int:
        """Size of what was read."""

    @property
    def threads(self) -> int:
        """Number of threads."""

    @property
    def bytes_per_s(self) -> float:
        """Bytes read per second."""


class MeasuredRoof(Protocol):
    """A measured roof."""

    @property
    def peaks(self) -> Sequence[MeasuredPeak]:
        """Rates."""

    @property
    def bandwidths(self) -> Sequence[MeasuredBandwidth]:
        """Bandwidths."""


@dataclass(frozen=True)
class Roof:
    """A device's roof for one number of threads.

    Attributes:
        threads: Number of threads.
        peaks: MACs per second by dtype, "int8" and "float32".
        bandwidths: Working set in bytes and bytes per second, the smallest working set first.
    """

    threads: int
    peaks: dict[str, float]
    bandwidths: tuple[tuple[int, float], ...]

    def bandwidth(self, working_set_bytes: int) -> float:
        """Return the bytes per second of the smallest measured working set that is not smaller."""
        for size, rate in self.bandwidths:
            if size >= working_set_bytes:
                return rate
        return self.bandwidths[-1][1]

    def attainable(self, dtype: str, intensity: float, working_set_bytes: int) -> float | None:
        """Return MACs per second under the roof; None where the type's peak was not measured.

        Args:
            dtype: "int8" or "float32".
            intensity: MACs per byte.
            working_set_bytes: What is gone through.
        """
        peak = self.peaks.get(dtype)
        return None if peak is None else min(peak, self.bandwidth(working_set_bytes) * intensity)

    def line(self, dtype: str, working_set_bytes: int, up_to: float) -> tuple[tuple[float, float], ...]:
        """Return the roof as a line to plot: intensity and MACs per second of its three corners.

        Args:
            dtype: "int8" or "float32"; its peak has to be known.
            working_set_bytes: What decides the slope.
            up_to: Intensity at which the line ends.
        """
        peak, slope = self.peaks[dtype], self.bandwidth(working_set_bytes)
        ridge = peak / slope
        start = min(ridge, 1.0) / 10
        return ((start, start * slope), (ridge, peak), (max(up_to, 2 * ridge), peak))


def roof_of(measured: MeasuredRoof, threads: int) -> Roof:
    """Return the roof for a number of threads."""
    peaks: dict[str, float] = {}
    for peak in measured.peaks:
        if peak.threads <= threads:
            peaks[peak.dtype] = max(peaks.get(peak.dtype, 0.0), peak.macs_per_s)
    usable = [entry for entry in measured.bandwidths if entry.threads <= threads] or measured.bandwidths
    line: list[tuple[int, float]] = []
    highest = 0.0
    for size in sorted({entry.working_set_bytes for entry in usable}, reverse=True):
        highest = max(highest, *(e.bytes_per_s for e in usable if e.working_set_bytes == size))
        line.append((size, highest))
    return Roof(threads, peaks, tuple(reversed(line)))
