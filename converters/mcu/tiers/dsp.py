"""The DSP extension of Cortex-M4, M7 and M33: two output channels in one 16-bit lane (kernels/ep_dsp.h)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgepack.converters.mcu.program import Struct, Table
from edgepack.converters.mcu.tiers.packing import (
    MAX_SHIFT,
    channel_constants,
    pack_lanes,
    padded_to,
    words_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call
    from edgepack.converters.mcu.tiers.packing import ChannelConstants

_POINTER_BYTES = 4


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    replacement = _REPLACEMENTS.get(call.kernel)
    return (replacement(call) if replacement else None) or call


def _convolution(call: Call) -> Call | None:
    count = _window(call)["output_channels"]
    return _packed_convolution(call, _data(call, "weights").reshape(count, -1))


def _packed_convolution(call: Call, matrix: NDArray[np.int8]) -> Call | None:
    """Return the call for weights [out, height x width x in]."""
    size = _window(call)
    constants, packed = _constants(call, matrix), pack_lanes(matrix, 4)
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
            "zero_point": -_number(call, "input_offset"),
            **_bounds(call),
        },
        scratch_bytes=words * 16 + (run if by_rows else words * 4),
    )


def _depthwise(call: Call) -> Call | None:
    size = _window(call)
    count = size["output_channels"]
    matrix = _data(call, "weights").reshape(-1, count).T  # [channels, taps]
    if size["input_channels"] == 1:  # then it is a convolution
        return _packed_convolution(call, matrix)
    constants = _constants(call, matrix)
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
            "zero_point": -_number(call, "input_offset"),
            **_bounds(call),
        },
        scratch_bytes=taps * _POINTER_BYTES + count,
    )


def _fully_connected(call: Call) -> Call | None:
    count, inputs = _number(call, "output_size"), _number(call, "input_size")
    matrix = _data(call, "weights").reshape(count, inputs)
    constants = _constants(call, matrix)
    if constants is None:
        return None
    if inputs % 4 or len(np.unique(constants.scaling(), axis=0)) > 1:
        return _as_convolution(call, matrix)
    packed = pack_lanes(matrix, 8 if count % 8 > 4 else 4)
    if packed is None:
        return None
    multiplier, rounding, shift = (int(value) for value in constants.scaling()[0])
    return replace(
        call,
        kernel="ep_fully_connected_s8__dsp",
        struct="ep_fully_connected_packed",
        constants={
            "weights": Table("uint32_t", _dense_blocks(packed, constants)),
            "rows": call.constants["rows"],
            "words": inputs // 4,
            "output_size": count,
            "multiplier": multiplier,
            "rounding": rounding,
            "shift": shift,
            **_bounds(call),
        },
    )


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


def _as_convolution(call: Call, matrix: NDArray[np.int8]) -> Call | None:
    """Return a dense layer as a 1x1 convolution of its rows: it takes any sizes, and factors per channel."""
    ones = [f"{kind}_{axis}" for kind in ("kernel", "stride", "dilation") for axis in ("height", "width")]
    window = Struct(
        {
            "input_height": _number(call, "rows"), "input_width": 1, "input_channels": matrix.shape[1],
            "output_height": _number(call, "rows"), "output_width": 1, "output_channels": matrix.shape[0],
            **dict.fromkeys(ones, 1),
            "padding_top": 0, "padding_left": 0,
        }
    )  # fmt: skip
    return _packed_convolution(replace(call, constants={**call.constants, "window": window}), matrix)


def _add(call: Call) -> Call | None:
    numbers = {key: value for key, value in call.constants.items() if isinstance(value, int)}
    exact = [numbers[f"multiplier_{i}"] == 1 << 30 and numbers[f"shift_{i}"] == 0 for i in (1, 2)]
    out = -numbers["output_shift"]
    if exact[0] == exact[1] or not 1 <= out <= MAX_SHIFT:
        return None
    first, second = (1, 2) if exact[0] else (2, 1)
    shift = -numbers[f"shift_{second}"]
    return replace(
        call,
        kernel="ep_add_s8__dsp",
        struct="ep_add_right",
        constants={
            "size": numbers["size"],
            "first_bias": numbers[f"offset_{first}"] << 20,
            "second_bias": numbers[f"offset_{second}"] << 21,
            "second_multiplier": numbers[f"multiplier_{second}"],
            "second_half": 1 << (shift - 1),
            "second_shift": shift,
            "multiplier": numbers["output_multiplier"],
            "rounding": (1 << (out - 1)) + (numbers["output_offset"] << out),
            "shift": out,
            **_bounds(call),
        },
        inputs=call.inputs if first == 1 else call.inputs[::-1],
    )


def _constants(call: Call, matrix: NDArray[np.int8]) -> ChannelConstants | None:
    offsets = _number(call, "input_offset"), _number(call, "output_offset")
    return channel_constants(_data(call, "channels"), matrix, *offsets)


def _window(call: Call) -> dict[str, int]:
    return dict(cast("Struct", call.constants["window"]).members)


def _data(call: Call, member: str) -> NDArray[Any]:
    return cast("Table", call.constants[member]).data


def _number(call: Call, member: str) -> int:
    return cast("int", call.constants[member])


def _bounds(call: Call) -> dict[str, int]:
    return {key: _number(call, key) for key in ("activation_min", "activation_max")}


_REPLACEMENTS = {
    "ep_add_s8": _add,
    "ep_conv_2d_s8": _convolution,
    "ep_depthwise_conv_2d_s8": _depthwise,
    "ep_fully_connected_s8": _fully_connected,
}
