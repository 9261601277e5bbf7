"""Helium of Cortex-M55 and M85: sixteen multiply-accumulates in an instruction (kernels/ep_mve.h).

Rules:
    * The input's offset is folded into the biases; a kernel then reads the zero point where a window reaches
      over the edge.
    * A kernel's weights, and what it needs of an output channel, lie in the order in which it reads them.
    * Shifts to the left, or none, stay with the plain kernels: the last rounding is of a shift to the right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.program import Struct, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.mcu.program import Call

_VECTOR = 16
_EVEN_THEN_ODD = (0, 2, 4, 6, 1, 3, 5, 7)
"""Channels in the lanes of two vectors of 32 bits that VQMOVNB and VQMOVNT join."""
_NO_SCRATCH = 4
"""Bytes that a kernel is given which reads none, as its last argument."""
_LINE_BYTES = 1024
"""Scratch for a row of a convolution's inputs, from which on it is computed in parts."""
_LEAST_WIDTH = 8
"""Outputs of such a part."""
_NARROW = 16
"""Outputs of a row, below which an odd one is paired with the next row's."""
_SIDE = 4
"""Rows and columns of a depthwise kernel that one vector holds."""
_COLUMN_BYTES = _VECTOR * _SIDE


def specialize(call: Call) -> Call:
    """Return the call with this tier's kernel, or as it is where the tier has none for it."""
    replacement = _REPLACEMENTS.get(call.kernel)
    return (replacement(call) if replacement else None) or call


def _table(call: Call, name: str) -> NDArray[np.int64]:
    found = call.constants[name]
    assert isinstance(found, Table)
    return found.data.astype(np.int64)


def _number(call: Call, name: str) -> int:
    found = call.constants[name]
    assert isinstance(found, int)
    return found


def _window(call: Call) -> dict[str, int]:
    found = call.constants["window"]
    assert isinstance(found, Struct)
    return dict(found.members)


def _factors(call: Call, matrix: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return bias, multiplier and shift of each channel, the input's offset folded into the bias.

    Args:
        call: A call with `channels` and `input_offset`.
        matrix: int64 [channels, k]: its weights.

    Returns:
        int64 [channels, 3], biases modulo 2^32; None where a shift is not to the right.
    """
    rows: NDArray[np.int64] = _table(call, "channels").copy()
    if rows[:, 2].max(initial=-1) >= 0:
        return None
    rows[:, 0] += _number(call, "input_offset") * matrix.sum(axis=1)
    return rows


def _padded(data: NDArray[np.int64], *multiples: int) -> NDArray[np.int64]:
    """Return a matrix with zeros behind, up to a multiple along each axis."""
    rows, columns = (-size % multiple for size, multiple in zip(data.shape, multiples, strict=True))
    return np.pad(data, ((0, rows), (0, columns)))


def _bytes_of(words: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return words as a little-endian core stores them: [..., n] to [..., 4 n]."""
    return np.ascontiguousarray(words & 0xFFFFFFFF).astype("<u4").view(np.int8)


def _stream(*parts: NDArray[np.int64] | NDArray[np.int8]) -> Table:
    """Return blocks, [blocks, n] each, one behind the other for each block, as words: they are aligned so."""
    data = np.concatenate([part.astype(np.int8).reshape(part.shape[0], -1) for part in parts], axis=1)
    return Table("uint32_t", np.ascontiguousarray(data).view("<u4").reshape(-1))


def _convolution(call: Call) -> Call | None:
    size = _window(call)
    channels, height, depth = size["output_channels"], size["kernel_height"], size["input_channels"]
    kernels = _undilated(_table(call, "weights").reshape(channels, height, -1, depth), size["dilation_width"])
    size |= {"kernel_width": kernels.shape[2], "dilation_width": 1}
    matrix = kernels.swapaxes(1, 2).reshape(channels, -1)
    rows = _factors(call, matrix)
    if rows is None:
        return None
    blocks = _padded(matrix, 4, _VECTOR)
    vectors = blocks.shape[1] // _VECTOR
    blocks = blocks.reshape(-1, 4, vectors, _VECTOR).swapaxes(1, 2)
    factors = _padded(rows, 4, 1).reshape(-1, 4, 3).swapaxes(1, 2)
    lines = _lines(size)
    copied = lines["line_bytes"] > 0
    in_place = not copied and channels <= size["stride_width"] * depth  # outputs stay behind inputs
    scratch = (
        2 * _VECTOR + lines["rows"] * lines["line_bytes"] if copied else 2 * _VECTOR * vectors * in_place
    )
    return replace(
        call,
        kernel="ep_conv_2d_s8__mve",
        struct="ep_conv_2d_vectors",
        constants={
            "window": Struct(size),
            "weights": _stream(blocks, _bytes_of(factors)),
            "vectors": vectors,
            **lines,
            "in_place": int(in_place),
            **_ends(call),
        },
        in_place=((call.inputs[0], call.outputs[0]),) if in_place else (),
        scratch_bytes=max(scratch, _NO_SCRATCH),
    )


def _undilated(kernels: NDArray[np.int64], dilation: int) -> NDArray[np.int64]:
    """Return kernels [out, height, width, in] with the columns that a dilation leaves out, as zeros."""
    count, height, width, depth = kernels.shape
    dense = np.zeros((count, height, (width - 1) * dilation + 1, depth), np.int64)
    dense[:, :, ::dilation] = kernels
    return dense


def _lines(size: dict[str, int]) -> dict[str, int]:
    """Return how many outputs of a convolution are computed at a time, and each row's bytes of scratch."""
    column = size["kernel_height"] * size["input_channels"]
    reach = {axis: (size[f"output_{axis}"] - 1) * size[f"stride_{axis}"] for axis in ("height", "width")}
    inside = (
        size["padding_top"] == size["padding_left"] == 0
        and reach["height"] < size["input_height"]
        and reach["width"] + size["kernel_width"] <= size["input_width"]
    )
    if size["kernel_height"] == 1 and inside and column * size["kernel_width"] % _VECTOR == 0:
        return {"rows": size["output_height"], "width": size["output_width"], "line_bytes": 0}
    width = size["output_width"]
    while (
        width > _LEAST_WIDTH and (width * size["stride_width"] + size["kernel_width"]) * column > _LINE_BYTES
    ):
        width = -(-width // 4) * 2  # half of it, even
    columns = (width - 1) * size["stride_width"] + size["kernel_width"]
    together = width % 2 and size["output_width"] == width < _NARROW
    return {"rows": 2 if together else 1, "width": width, "line_bytes": columns * column}


def _as_convolution(call: Call) -> Call:
    """Return a dense layer as a convolution of 1x1 over a column of pixels."""
    ones = [f"{what}_{axis}" for what in ("kernel", "stride", "dilation") for axis in ("height", "width")]
    sizes = {
        **dict.fromkeys([*ones, "input_width", "output_width"], 1),
        **dict.fromkeys(("input_height", "output_height"), _number(call, "rows")),
        **dict.fromkeys(("padding_top", "padding_left"), 0),
        "input_channels": _number(call, "input_size"),
        "output_channels": _number(call, "output_size"),
    }
    return replace(call, constants={**call.constants, "window": Struct(sizes)})


def _depthwise(call: Call) -> Call | None:
    size = _window(call)
    channels, height, width = size["output_channels"], size["kernel_height"], size["kernel_width"]
    taps = _table(call, "weights").reshape(height, width, channels)
    rows = _factors(call, taps.reshape(-1, channels).T)
    if rows is None or channels % 4 or channels != size["input_channels"] or max(height, width) > _SIDE:
        return None
    square = np.pad(taps.transpose(2, 1, 0), ((0, 0), (0, _SIDE - width), (0, _SIDE - height)))
    factors = _bytes_of(rows.reshape(-1, 4, 3).swapaxes(1, 2)).reshape(channels // 4, -1)
    blocks = _stream(square.reshape(-1, 4 * _VECTOR), factors, np.zeros((channels // 4, 4), np.int8))
    moves = size["stride_height"], size["dilation_height"]
    columns = (size["output_width"] - 1) * size["stride_width"] + (width - 1) * size["dilation_width"] + 1
    behind = (_SIDE - width) * size["dilation_width"]
    both = ("height", "width")
    unmoved = all(size[f"input_{a}"] == size[f"output_{a}"] and size[f"stride_{a}"] == 1 for a in both)
    in_place = unmoved and size["padding_top"] <= 1
    row_bytes = size["input_width"] * channels
    return replace(
        call,
        kernel="ep_depthwise_conv_2d_s8__mve",
        struct="ep_depthwise_vectors",
        constants={
            "window": call.constants["window"],
            "weights": Table("uint32_t", np.concatenate([[0], blocks.data])),
            "columns": columns,
            "in_place": int(in_place),
            "two_rows": int(height < _SIDE and moves == (1, 1) and size["output_height"] > 1),
            **_ends(call),
        },
        in_place=((call.inputs[0], call.outputs[0]),) if in_place else (),
        scratch_bytes=_VECTOR + (columns + behind) * _COLUMN_BYTES + row_bytes * in_place,
    )


def _ends(call: Call) -> dict[str, int]:
    """Return what the kernels of windows take beside weights."""
    keep = ("output_offset", "activation_min", "activation_max")
    return {"zero_point": -_number(call, "input_offset"), **{key: _number(call, key) for key in keep}}


def _fully_connected(call: Call) -> Call | None:
    inputs, outputs = _number(call, "input_size"), _number(call, "output_size")
    matrix = _table(call, "weights").reshape(outputs, inputs)
    rows = _factors(call, matrix)
    if rows is None:
        return None
    if len(np.unique(rows[:, 1:], axis=0)) > 1:
        return _convolution(_as_convolution(call))
    blocks = _padded(matrix, 8, _VECTOR)
    vectors = blocks.shape[1] // _VECTOR
    blocks = blocks.reshape(-1, 8, vectors, _VECTOR)[:, _EVEN_THEN_ODD].swapaxes(1, 2)
    biases = _padded(rows, 8, 1)[:, 0].reshape(-1, 8)[:, _EVEN_THEN_ODD]
    _, multiplier, shift = (int(value) for value in rows[0])
    ends = _ends(call)
    del ends["zero_point"]
    return replace(
        call,
        kernel="ep_fully_connected_s8__mve",
        struct="ep_fully_connected_vectors",
        constants={
            "weights": _stream(blocks, _bytes_of(biases)),
            "rows": call.constants["rows"],
            "input_size": inputs,
            "output_size": outputs,
            "vectors": vectors,
            "multiplier": multiplier,
            "shift": shift,
            **ends,
        },
        scratch_bytes=_VECTOR * vectors if inputs % _VECTOR else _NO_SCRATCH,
    )


def _average_pool(call: Call) -> Call | None:
    size = _window(call)
    small = size["kernel_height"] * size["kernel_width"] <= _LARGEST_WINDOW
    return replace(call, kernel="ep_average_pool_2d_s8__mve") if small else None


def _add(call: Call) -> Call | None:
    """Return the call where one input's factor is exactly 1/2, as TFLite gives it to the larger scale."""
    numbers = {key: value for key, value in call.constants.items() if isinstance(value, int)}
    half = [(numbers[f"multiplier_{i}"], numbers[f"shift_{i}"]) == (1 << 30, 0) for i in (1, 2)]
    first, second = (1, 2) if half[0] else (2, 1)
    shifts = numbers[f"shift_{second}"], numbers["output_shift"]
    if not any(half) or max(shifts) >= 0 or numbers["left_shift"] != _ADD_SHIFT:
        return None
    return replace(
        call,
        kernel="ep_add_s8__mve",
        struct="ep_add_vectors",
        constants={
            "size": numbers["size"],
            "first_bias": 16 * numbers[f"offset_{first}"],
            "second_bias": 16 * numbers[f"offset_{second}"],
            "second_multiplier": numbers[f"multiplier_{second}"],
            "second_shift": shifts[0],
            "multiplier": numbers["output_multiplier"],
            "shift": shifts[1],
            **{key: numbers[key] for key in ("output_offset", "activation_min", "activation_max")},
        },
        inputs=call.inputs if first == 1 else call.inputs[::-1],
    )


_LARGEST_WINDOW = 255
"""Elements whose sum surely fits 16 bits."""
_ADD_SHIFT = 20
_REPLACEMENTS = {
    "ep_add_s8": _add,
    "ep_average_pool_2d_s8": _average_pool,
    "ep_conv_2d_s8": _convolution,
    "ep_depthwise_conv_2d_s8": _depthwise,
    "ep_fully_connected_s8": _fully_connected,
}
