"""Cores with a long multiply-accumulate and without the DSP extension: Cortex-M3, and M33 without it.

Convolutions compute two pixels with one instruction (kernels/src/ep_conv_2d_s8__m3.c), which takes SMLAL;
other operators, and weights that could overflow, take the scalar tier's kernels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.program import Table
from edgepack.converters.mcu.tiers.calls import (
    POINTER_BYTES,
    bounds_of,
    constants_of,
    convolution_matrix,
    data_of,
    dense_scaling,
    number_of,
    window_of,
)
from edgepack.converters.mcu.tiers.packing import padded_to, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call

_SUM_LIMIT = 1 << 22
"""128 sum|w| must stay below, so that the sum of a pixel stays in its field."""

_LOWEST_LIMIT = 1 << 23
"""128 sum|w| of the first of four channels must stay below, so that its sum stays in its field."""


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    return _convolution(call) or _depthwise(call) or _fully_connected(call) or call


def _convolution(call: Call) -> Call | None:
    matrix = convolution_matrix(call)
    if matrix is None:
        return None
    constants = constants_of(call, matrix)
    wide = matrix.astype(np.int64)
    if constants is None or (128 * np.abs(wide).sum(axis=1)).max() >= _SUM_LIMIT:
        return None
    padded = padded_to(wide, 2, 4)
    pairs = padded.reshape(len(padded) // 2, 2, -1).transpose(0, 2, 1)  # [blocks, inputs, 2]
    inputs = pairs.shape[1]
    rows = padded_to(constants.rows(), 2, 4).reshape(len(pairs), -1)
    return replace(
        call,
        kernel="ep_conv_2d_s8__m3",
        struct="ep_conv_2d_long",
        constants={
            "window": call.constants["window"],
            "weights": Table("uint32_t", words_of(_bytes(pairs), rows)),
            "inputs": inputs,
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=8 * inputs + window_of(call)["input_channels"],
    )


def _depthwise(call: Call) -> Call | None:
    if call.kernel != "ep_depthwise_conv_2d_s8":
        return None
    size = window_of(call)
    count = size["output_channels"]
    matrix = data_of(call, "weights").reshape(-1, count).T  # [channels, taps]
    constants = constants_of(call, matrix)
    if constants is None or count % 4 or count != size["input_channels"]:
        return None
    threes = padded_to(matrix.astype(np.int64), 4, 3)
    fours = threes.reshape(count // 4, 4, -1).transpose(0, 2, 1)  # [blocks, taps, 4]
    return replace(
        call,
        kernel="ep_depthwise_conv_2d_s8__m3",
        struct="ep_depthwise_fours",
        constants={
            "window": call.constants["window"],
            "weights": Table("uint32_t", words_of(_bytes(fours), constants.rows().reshape(len(fours), -1))),
            "taps": fours.shape[1],
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=fours.shape[1] * POINTER_BYTES + count,
    )


def _fully_connected(call: Call) -> Call | None:
    if call.kernel != "ep_fully_connected_s8":
        return None
    count, inputs = number_of(call, "output_size"), number_of(call, "input_size")
    matrix = data_of(call, "weights").reshape(count, inputs)
    constants = constants_of(call, matrix)
    scaling = dense_scaling(constants) if constants else None
    padded = padded_to(matrix.astype(np.int64), 8, 1)
    sums = 128 * np.abs(padded[0::4]).sum(axis=1)
    if constants is None or scaling is None or inputs % 4 or sums.max() >= _LOWEST_LIMIT:
        return None
    blocks = padded.reshape(-1, 8, inputs).transpose(0, 2, 1) + np.tile([128, 128, 128, 0], 2)
    biases = np.pad(constants.doubled_biases, (0, len(padded) - count)).reshape(len(blocks), -1)
    return replace(
        call,
        kernel="ep_fully_connected_s8__m3",
        struct="ep_fully_connected_bytes",
        constants={
            "weights": Table("uint32_t", words_of(_bytes(blocks), biases)),
            "rows": call.constants["rows"],
            "input_size": inputs,
            "output_size": count,
            **scaling,
            **bounds_of(call),
        },
    )


def _bytes(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return [blocks, ...] of weights as [blocks, words]."""
    flat = np.ascontiguousarray(blocks.astype(np.uint8).reshape(len(blocks), -1))
    return flat.view("<u4").astype(np.int64)
