"""Cores with a long multiply-accumulate and without the DSP extension: Cortex-M3, and M33 without it.

Convolutions compute two pixels with one instruction (kernels/src/ep_conv_2d_s8__m3.c); other operators and
weights that could overflow take the scalar tier's kernels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.program import Table
from edgepack.converters.mcu.tiers.calls import (
    bounds_of,
    constants_of,
    convolution_matrix,
    number_of,
    window_of,
)
from edgepack.converters.mcu.tiers.packing import padded_to, words_of

if TYPE_CHECKING:
    from edgepack.converters.mcu.program import Call

_SUM_LIMIT = 1 << 22
"""128 sum|w| must stay below, so that the sum of a pixel stays in its field."""


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    matrix = convolution_matrix(call)
    if matrix is None:
        return call
    constants = constants_of(call, matrix)
    wide = matrix.astype(np.int64)
    if constants is None or (128 * np.abs(wide).sum(axis=1)).max() >= _SUM_LIMIT:
        return call
    padded = padded_to(wide, 2, 4)
    pairs = padded.reshape(len(padded) // 2, 2, -1).transpose(0, 2, 1)  # [blocks, inputs, 2]
    inputs = pairs.shape[1]
    weights = np.ascontiguousarray(pairs.astype(np.int8).reshape(len(pairs), -1)).view("<u4").astype(np.int64)
    rows = padded_to(constants.rows(), 2, 4).reshape(len(pairs), -1)
    return replace(
        call,
        kernel="ep_conv_2d_s8__m3",
        struct="ep_conv_2d_long",
        constants={
            "window": call.constants["window"],
            "weights": Table("uint32_t", words_of(weights, rows)),
            "inputs": inputs,
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=8 * inputs + window_of(call)["input_channels"],
    )
