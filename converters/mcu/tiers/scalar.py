"""Cores with neither vectors nor the DSP extension (Cortex-M0+, M3, RISC-V): plain C in the order they like.

Input offsets are folded into biases, and a convolution computes two pixels with one product
(kernels/src/ep_conv_2d_s8__scalar.c).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.program import Table
from edgepack.converters.mcu.tiers.calls import (
    POINTER_BYTES,
    add_by_shifts,
    bounds_of,
    constants_of,
    convolution_matrix,
    data_of,
    dense_scaling,
    number_of,
    window_of,
)
from edgepack.converters.mcu.tiers.packing import padded_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call

_PAIR_LIMIT = 255
"""|w| + |w'| of two products in one half of a word: 128 times that is below 2^15."""


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    replacement = _REPLACEMENTS.get(call.kernel)
    return (replacement(call) if replacement else None) or call


def _convolution(call: Call) -> Call | None:
    matrix = convolution_matrix(call)
    return None if matrix is None else _paired_convolution(call, matrix)


def _paired_convolution(call: Call, matrix: NDArray[np.int8]) -> Call | None:
    """Return the call for weights [out, height x width x in]."""
    constants = constants_of(call, matrix)
    padded = padded_to(matrix.astype(np.int64), 2, 4)
    pairs = padded.reshape(len(padded) // 2, 2, -1, 2)
    if constants is None or np.abs(pairs).sum(axis=-1).max() > _PAIR_LIMIT:
        return None
    return replace(
        call,
        kernel="ep_conv_2d_s8__scalar",
        struct="ep_conv_2d_paired",
        constants={
            "window": call.constants["window"],
            "weights": Table("int8_t", pairs.transpose(0, 2, 1, 3).reshape(-1)),
            "channels": Table("ep_channel_right", constants.rows()),
            "pairs": pairs.shape[2],
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=8 * pairs.shape[2] + window_of(call)["input_channels"],
    )


def _depthwise(call: Call) -> Call | None:
    size = window_of(call)
    count = size["output_channels"]
    if size["input_channels"] == 1:
        return _convolution(call)
    matrix = data_of(call, "weights").reshape(-1, count).T  # [channels, taps]
    constants = constants_of(call, matrix)
    if constants is None or count != size["input_channels"]:
        return None
    threes = padded_to(matrix.astype(np.int64), 1, 3)
    return replace(
        call,
        kernel="ep_depthwise_conv_2d_s8__scalar",
        struct="ep_depthwise_threes",
        constants={
            "window": call.constants["window"],
            "weights": Table("int8_t", threes.reshape(-1)),
            "channels": Table("ep_channel_right", constants.rows()),
            "taps": threes.shape[1],
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=threes.shape[1] * POINTER_BYTES + count,
    )


def _fully_connected(call: Call) -> Call | None:
    count, inputs = number_of(call, "output_size"), number_of(call, "input_size")
    matrix = data_of(call, "weights").reshape(count, inputs)
    constants = constants_of(call, matrix)
    if constants is None:
        return None
    shared = dense_scaling(constants) is not None
    rows = constants.rows()[:1] if shared else constants.rows()
    biases = Table("int32_t", constants.doubled_biases) if shared else 0
    fours = padded_to(matrix.astype(np.int64), 4, 1).reshape(-1, 4, inputs).transpose(0, 2, 1)
    return replace(
        call,
        kernel="ep_fully_connected_s8__scalar",
        struct="ep_fully_connected_fours",
        constants={
            "weights": Table("int8_t", fours.reshape(-1)),
            "channels": Table("ep_channel_right", rows),
            "doubled_biases": biases,
            "per_channel": int(not shared),
            "rows": call.constants["rows"],
            "input_size": inputs,
            "output_size": count,
            **bounds_of(call),
        },
    )


_REPLACEMENTS: Mapping[str, Callable[[Call], Call | None]] = {
    "ep_add_s8": lambda call: add_by_shifts(call, "ep_add_s8__scalar"),
    "ep_conv_2d_s8": _convolution,
    "ep_depthwise_conv_2d_s8": _depthwise,
    "ep_fully_connected_s8": _fully_connected,
}
