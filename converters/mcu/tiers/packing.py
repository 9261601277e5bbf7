"""Weights and per-channel constants in the order in which the kernels of a tier read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LANE_LIMIT = 1 << 23
"""128 sum|A| must stay below, so that 256 sum(A x) + sum(B x) fits 32 bits."""
_REACH = 1 << 30
"""An accumulator must stay below, so that twice its value fits 32 bits."""
MAX_SHIFT = 22
"""Up to here the output's offset, shifted to the left, can be added before the last shift to the right."""


@dataclass(frozen=True, eq=False)
class ChannelConstants:
    """What turns the accumulators of output channels into outputs; every member int64 [channels].

    Attributes:
        doubled_biases: Twice the bias, with the input's offset folded in.
        multipliers: Q0.31.
        roundings: Half of 2^shift, and the output's offset times 2^shift.
        shifts: To the right, 1 to 22.
    """

    doubled_biases: NDArray[np.int64]
    multipliers: NDArray[np.int64]
    roundings: NDArray[np.int64]
    shifts: NDArray[np.int64]

    def scaling(self) -> NDArray[np.int64]:
        """Return multiplier, rounding and shift of each channel, int64 [channels, 3]."""
        return np.stack([self.multipliers, self.roundings, self.shifts], axis=1)

    def rows(self) -> NDArray[np.int64]:
        """Return all four of each channel, int64 [channels, 4]."""
        return np.concatenate([self.doubled_biases[:, None], self.scaling()], axis=1)


def channel_constants(
    channels: NDArray[np.int64], matrix: NDArray[np.int8], input_offset: int, output_offset: int
) -> ChannelConstants | None:
    """Return the constants of output channels.

    Args:
        channels: int64 [n, 3]: bias, multiplier, shift; positive is to the left.
        matrix: int8 [n, k]: the weights.
        input_offset: What is added to every input.
        output_offset: The output's zero point.

    Returns:
        The constants; None where a shift is not to the right by 1 to 22, or an accumulator could reach 2^30.
    """
    shifts = -channels[:, 2]
    wide = matrix.astype(np.int64)
    biases = channels[:, 0] + input_offset * wide.sum(axis=1)
    reach = np.abs(biases) + 128 * np.abs(wide).sum(axis=1)
    if shifts.min() < 1 or shifts.max() > MAX_SHIFT or reach.max() >= _REACH:
        return None
    roundings = (1 << (shifts - 1)) + (output_offset << shifts)
    return ChannelConstants(2 * biases, channels[:, 1], roundings, shifts)


def pack_lanes(matrix: NDArray[np.int8], multiple: int) -> NDArray[np.int64] | None:
    """Pack the rows of a matrix two by two into the lanes of words (kernels/include/ep_dsp.h).

    Args:
        matrix: int8 [channels, k].
        multiple: The channels are padded with zeros to a multiple of this even number.

    Returns:
        Words, int64 [channels / 2, ceil(k / 4), 2]; None where a lane or a sum could overflow.
    """
    padded = padded_to(matrix.astype(np.int64), multiple, 4)
    high, low = padded[0::2], padded[1::2]
    lanes = 256 * high + low
    sums = 128 * np.abs(high).sum(axis=1)
    if lanes.max() > 32767 or lanes.min() < -32768 or sums.max() >= _LANE_LIMIT:
        return None
    fours = (lanes & 0xFFFF).reshape(len(high), -1, 4)
    return np.stack([fours[..., 0] | fours[..., 2] << 16, fours[..., 1] | fours[..., 3] << 16], axis=-1)


def padded_to(array: NDArray[np.int64], rows: int, columns: int) -> NDArray[np.int64]:
    """Return a matrix with zeros behind its rows and columns, so that both are multiples."""
    extra = [(0, -size % multiple) for size, multiple in zip(array.shape, (rows, columns), strict=True)]
    return np.pad(array, extra)


def words_of(*parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return blocks of words one behind another: each part is [blocks, ...]; the result is flat, unsigned."""
    flat = [part.reshape(len(part), -1) for part in parts]
    return np.concatenate(flat, axis=1).reshape(-1) & 0xFFFFFFFF
