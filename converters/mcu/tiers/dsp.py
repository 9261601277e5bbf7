"""The DSP extension of Cortex-M4, M7 and M33: two output channels in one 16-bit lane (kernels/ep_dsp.h)."""

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
    dense_as_convolution,
    dense_scaling,
    number_of,
    window_of,
)
from edgepack.converters.mcu.tiers.packing import pack_lanes, padded_to, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call
    from edgepack.converters.mcu.tiers.packing import ChannelConstants


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    replacement = _REPLACEMENTS.get(call.kernel)
    return (replacement(call) if replacement else None) or call


def _convolution(call: Call) -> Call | None:
    matrix = convolution_matrix(call)
    return None if matrix is None else _packed_convolution(call, matrix)


def _packed_convolution(call: Call, matrix: NDArray[np.int8]) -> Call | None:
    """Return the call for weights [out, height x width x in]."""
    size = window_of(call)
    constants, packed = constants_of(call, matrix), pack_lanes(matrix, 4)
    if constants is None or packed is None:
        return None
    words = packed.shape[1]
    # [blocks, 2 pairs, words, 2 halves] to [blocks, words, 2 halves, 2 pairs]
    blocks = packed.reshape(-1, 2, words, 2).transpose(0, 2, 3, 1)
    rows = padded_to(constants.rows(), 4, 4).reshape(len(blocks), -1)
    run = size["kernel_width"] * size["input_channels"]
    by_rows = run % 4 == 0
    return replace(
        call,
        kernel="ep_conv_2d_s8__dsp",
        struct="ep_conv_2d_packed",
        constants={
            "window": call.constants["window"],
            "weights": Table("uint32_t", words_of(blocks, rows)),
            "words": words,
            "by_rows": int(by_rows),
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=words * 16 + (run if by_rows else words * 4),
    )


def _depthwise(call: Call) -> Call | None:
    size = window_of(call)
    count = size["output_channels"]
    if size["input_channels"] == 1:
        return _convolution(call)
    matrix = data_of(call, "weights").reshape(-1, count).T  # [channels, taps]
    constants = constants_of(call, matrix)
    if constants is None or count % 4 or count != size["input_channels"]:
        return None
    doubled = 2 * padded_to(matrix.astype(np.int64), 4, 3) & 0xFFFF
    taps = doubled.shape[1]
    fours = doubled.reshape(-1, 4, taps)
    pairs = np.stack([fours[:, 0] | fours[:, 2] << 16, fours[:, 1] | fours[:, 3] << 16], axis=-1)
    biases, scaling = (
        part.reshape(len(fours), -1) for part in (constants.doubled_biases, constants.scaling())
    )
    return replace(
        call,
        kernel="ep_depthwise_conv_2d_s8__dsp",
        struct="ep_depthwise_packed",
        constants={
            "window": call.constants["window"],
            "weights": Table("uint32_t", words_of(biases, pairs, scaling)),
            "taps": taps,
            "zero_point": -number_of(call, "input_offset"),
            **bounds_of(call),
        },
        scratch_bytes=taps * POINTER_BYTES + count,
    )


def _fully_connected(call: Call) -> Call | None:
    count, inputs = number_of(call, "output_size"), number_of(call, "input_size")
    matrix = data_of(call, "weights").reshape(count, inputs)
    constants = constants_of(call, matrix)
    if constants is None:
        return None
    scaling = dense_scaling(constants)
    packed = pack_lanes(matrix, 8 if count % 8 > 4 or scaling is None else 4)
    if inputs % 4:
        return _packed_convolution(dense_as_convolution(call), matrix)
    if packed is None:
        return None
    own = dict.fromkeys(("multiplier", "rounding", "shift"), 0)
    blocks = _dense_blocks(packed, constants) if scaling else _own_blocks(packed, constants)
    return replace(
        call,
        kernel="ep_fully_connected_s8__dsp",
        struct="ep_fully_connected_packed",
        constants={
            "weights": Table("uint32_t", blocks),
            "rows": call.constants["rows"],
            "words": inputs // 4,
            "output_size": count,
            "per_channel": int(scaling is None),
            **(scaling or own),
            **bounds_of(call),
        },
    )


def _own_blocks(packed: NDArray[np.int64], constants: ChannelConstants) -> NDArray[np.int64]:
    """Return blocks of eight channels, each with its constants."""
    words = packed.reshape(-1, 4, *packed.shape[1:]).transpose(0, 2, 1, 3)
    return words_of(words, padded_to(constants.rows(), 8, 4).reshape(len(words), -1))


def _dense_blocks(packed: NDArray[np.int64], constants: ChannelConstants) -> NDArray[np.int64]:
    """Return blocks of eight channels, and one of four where no more than that is left."""
    biases = np.pad(constants.doubled_biases, (0, 2 * len(packed) - len(constants.doubled_biases)))
    cut = len(packed) // 4 * 4
    parts = []
    for pairs, own, size in ((packed[:cut], biases[: 2 * cut], 4), (packed[cut:], biases[2 * cut :], 2)):
        if len(pairs):
            words = pairs.reshape(-1, size, *pairs.shape[1:]).transpose(0, 2, 1, 3)
            parts.append(words_of(words, own.reshape(len(words), -1)))
    return np.concatenate(parts)


_REPLACEMENTS = {
    "ep_add_s8": lambda call: add_by_shifts(call, "ep_add_s8__dsp"),
    "ep_conv_2d_s8": _convolution,
    "ep_depthwise_conv_2d_s8": _depthwise,
    "ep_fully_connected_s8": _fully_connected,
}
