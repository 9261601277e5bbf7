"""The DSP extension of Cortex-M4, M7 and M33: two output channels in one 16-bit lane (kernels/ep_dsp.h)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.program import Struct, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call

_LIMIT = 1 << 23
"""128 sum|A| must stay below, so that 256 sum(A x) + sum(B x) fits 32 bits."""


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    replacement = _REPLACEMENTS.get(call.kernel)
    if replacement is None or call.constants.get("activation_max", 127) != 127:
        return call
    return replacement(call) or call


def pack(weights: NDArray[np.int8]) -> NDArray[np.int64] | None:
    """Pack the rows of a matrix two by two.

    Args:
        weights: int8 [channels, k]; channels even.

    Returns:
        Words, int64 [channels / 2 * ceil(k / 4) * 2], unsigned; None where a lane or a sum could overflow.
    """
    channels, k = weights.shape
    padded = np.zeros((channels, -(-k // 4) * 4), np.int64)
    padded[:, :k] = weights
    high, low = padded[0::2], padded[1::2]
    lanes = 256 * high + low
    if np.abs(lanes).max(initial=0) > 32767 or (128 * np.abs(high).sum(axis=1)).max(initial=0) >= _LIMIT:
        return None
    fours = lanes.reshape(channels // 2, -1, 4) & 0xFFFF
    words = np.stack([fours[..., 0] | fours[..., 2] << 16, fours[..., 1] | fours[..., 3] << 16], axis=-1)
    return words.reshape(-1)


def _convolution(call: Call) -> Call | None:
    window, weights, channels = (call.constants[key] for key in ("window", "weights", "channels"))
    assert isinstance(window, Struct)
    assert isinstance(weights, Table)
    assert isinstance(channels, Table)
    size = window.members
    count = size["output_channels"]
    matrix = weights.data.reshape(count, -1)
    offset = call.constants["input_offset"]
    assert isinstance(offset, int)
    rows = right_shifts(channels.data, matrix, offset)
    packed = pack(matrix) if count % 2 == 0 else None
    if packed is None or rows is None:
        return None
    words = -(-matrix.shape[1] // 4)
    ones = ("kernel_height", "kernel_width", "stride_height", "stride_width")
    pointwise = all(size[key] == 1 for key in ones) and matrix.shape[1] % 4 == 0
    keep = ("output_offset", "activation_min")
    return replace(
        call,
        kernel="ep_conv_2d_s8__dsp",
        struct="ep_conv_2d_packed",
        constants={
            "window": window,
            "weights": Table("uint32_t", packed),
            "channels": Table("ep_channel_right", rows),
            "words": words,
            "pointwise": int(pointwise),
            "zero_point": -offset,
            **{key: call.constants[key] for key in keep},
        },
        scratch_bytes=words * (16 if pointwise else 24),
    )


def right_shifts(
    channels: NDArray[np.int64], matrix: NDArray[np.int8], offset: int
) -> NDArray[np.int64] | None:
    """Return `ep_channel_right` rows with the input's offset folded into the bias.

    Args:
        channels: int64 [n, 3]: bias, multiplier, shift.
        matrix: int8 [n, k]: the weights.
        offset: What is added to every input.

    Returns:
        int64 [n, 4]: bias, multiplier, half, shift; None where a shift is not to the right, or an
        accumulator could reach 2^30.
    """
    shifts = -channels[:, 2]
    biases = channels[:, 0] + offset * matrix.astype(np.int64).sum(axis=1)
    reach = np.abs(biases) + 128 * np.abs(matrix.astype(np.int64)).sum(axis=1)
    if shifts.min() < 1 or reach.max() >= 1 << 30:
        return None
    return np.stack([biases, channels[:, 1], 1 << (shifts - 1), shifts], axis=1)


def _depthwise(call: Call) -> Call | None:
    window, weights, channels = (call.constants[key] for key in ("window", "weights", "channels"))
    assert isinstance(window, Struct)
    assert isinstance(weights, Table)
    assert isinstance(channels, Table)
    size = window.members
    count = size["output_channels"]
    matrix = weights.data.reshape(-1, count).T  # [channels, taps]
    offset = call.constants["input_offset"]
    assert isinstance(offset, int)
    rows = right_shifts(channels.data, matrix, offset)
    if rows is None or count % 4 or count != size["input_channels"]:
        return None
    pairs = -(-matrix.shape[1] // 2)
    padded = np.zeros((count, pairs * 2), np.int64)
    padded[:, : matrix.shape[1]] = matrix
    words = (padded[:, 0::2] & 0xFFFF) | (padded[:, 1::2] & 0xFFFF) << 16  # [channels, pairs]
    fours = words.reshape(count // 4, 4, pairs)[:, [0, 2, 1, 3], :]
    return replace(
        call,
        kernel="ep_depthwise_conv_2d_s8__dsp",
        struct="ep_depthwise_packed",
        constants={
            "window": window,
            "weights": Table("uint32_t", fours.transpose(0, 2, 1).reshape(-1)),
            "channels": Table("ep_channel_right", rows),
            "pairs": pairs,
            "zero_point": -offset,
            **{key: call.constants[key] for key in ("output_offset", "activation_min")},
        },
        scratch_bytes=2 * pairs * _POINTER_BYTES + count,
    )


def _fully_connected(call: Call) -> Call | None:
    weights, channels = call.constants["weights"], call.constants["channels"]
    offset, count = call.constants["input_offset"], call.constants["output_size"]
    assert isinstance(weights, Table)
    assert isinstance(channels, Table)
    assert isinstance(offset, int)
    assert isinstance(count, int)
    matrix = weights.data.reshape(count, -1)
    rows = right_shifts(channels.data, matrix, offset)
    padded = np.zeros((-(-count // 4) * 4, matrix.shape[1]), np.int8)
    padded[:count] = matrix
    packed = pack(padded)
    if rows is None or packed is None or matrix.shape[1] % 4 or len(np.unique(rows[:, 1:], axis=0)) > 1:
        return None
    words = matrix.shape[1] // 4
    fours = packed.reshape(-1, 2, words, 2).transpose(0, 2, 1, 3)
    _, multiplier, half, shift = (int(value) for value in rows[0])
    return replace(
        call,
        kernel="ep_fully_connected_s8__dsp",
        struct="ep_fully_connected_packed",
        constants={
            "weights": Table("uint32_t", fours.reshape(-1)),
            "biases": Table("int32_t", rows[:, 0]),
            "rows": call.constants["rows"],
            "words": words,
            "output_size": count,
            "multiplier": multiplier,
            "half": half,
            "shift": shift,
            **{key: call.constants[key] for key in ("output_offset", "activation_min")},
        },
        scratch_bytes=8 * words,
    )


def _add(call: Call) -> Call | None:
    numbers = {key: value for key, value in call.constants.items() if isinstance(value, int)}
    exact = [numbers[f"multiplier_{i}"] == 1 << 30 and numbers[f"shift_{i}"] == 0 for i in (1, 2)]
    if not any(exact) or numbers["output_shift"] >= 0:
        return None
    first, second = (1, 2) if exact[0] else (2, 1)
    shift = -numbers[f"shift_{second}"]
    if shift < 0 or (shift == 0 and not all(exact)):
        return None
    out = -numbers["output_shift"]
    return replace(
        call,
        kernel="ep_add_s8__dsp",
        struct="ep_add_right",
        constants={
            "size": numbers["size"],
            "first_offset": numbers[f"offset_{first}"],
            "second_offset": numbers[f"offset_{second}"],
            "second_multiplier": numbers[f"multiplier_{second}"],
            "second_half": 1 << (shift - 1) if shift else 0,
            "second_shift": shift,
            "output": Struct(
                {"bias": 0, "multiplier": numbers["output_multiplier"], "half": 1 << (out - 1), "shift": out}
            ),
            **{key: call.constants[key] for key in ("output_offset", "activation_min")},
        },
        inputs=call.inputs if first == 1 else call.inputs[::-1],
    )


_POINTER_BYTES = 4
_REPLACEMENTS = {
    "ep_add_s8": _add,
    "ep_conv_2d_s8": _convolution,
    "ep_depthwise_conv_2d_s8": _depthwise,
    "ep_fully_connected_s8": _fully_connected,
}
