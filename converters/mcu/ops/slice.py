"""SLICE and STRIDED_SLICE, whose beginnings and ends the model must state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.moves import Axis, move, steps_of
from edgepack.converters.mcu.ops.shapes import require_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from edgepack.converters.graph import Operator, Subgraph, Tensor
    from edgepack.converters.mcu.program import Call

_STRIDED_MAX_RANK = 4
"""Source: TFLite Micro strided_slice.cc, kMaxDim."""


class Range(NamedTuple):
    """What a slice takes of a dimension: `length` indices from `begin` on, `step` apart."""

    begin: int
    step: int
    length: int


def lower(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a SLICE: the tensor, where to begin, how much to take (-1: the rest).

    Raises:
        ConversionError: A part is computed, or lies outside the tensor.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    begins, sizes = (_numbers(subgraph, operator, i, source) for i in (1, 2))
    ranges = []
    for begin, size, whole in zip(begins, sizes, source.shape, strict=True):
        count = whole - begin if size == -1 else size
        if begin < 0 or not 0 <= count <= whole - begin:
            msg = f"SLICE: [{begin}, {begin} + {size}) lies outside of '{source.name}' {list(source.shape)}."
            raise ConversionError(msg, remedy="Correct the slice in the model and convert it again.")
        ranges.append(Range(begin, 1, count))
    require_shape(operator, output, tuple(part.length for part in ranges))
    return _take(operator, source, output, ranges)


def lower_strided(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a STRIDED_SLICE: the tensor, begins, ends, strides, with masks among its options.

    Raises:
        ConversionError: A part is computed, or a mask or rank that TFLite Micro refuses.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    options = operator.options
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        if options[name]:
            msg = f"STRIDED_SLICE: output '{output.name}' was made with {name}, which no kernel takes."
            raise ConversionError(msg, remedy="Write the slice out, one begin and end for each dimension.")
    if len(source.shape) > _STRIDED_MAX_RANK:
        msg = f"STRIDED_SLICE: tensor '{source.name}' has {len(source.shape)} dimensions, at most 4."
        raise ConversionError(msg, remedy="Reshape the tensor to four dimensions or fewer before the slice.")
    begins, ends, strides = (_numbers(subgraph, operator, i, source) for i in (1, 2, 3))
    if 0 in strides:
        msg = f"STRIDED_SLICE: output '{output.name}' has a stride of 0."
        raise ConversionError(msg, remedy="Correct the slice in the model and convert it again.")
    parts = zip(begins, ends, strides, source.shape, strict=True)
    ranges = [strided_range(axis, *part, options) for axis, part in enumerate(parts)]
    shrunk = [bool(options["shrink_axis_mask"] & 1 << axis) for axis in range(len(ranges))]
    inside = zip(ranges, source.shape, strict=True)
    if any(part.length and not 0 <= part.begin < size for part, size in inside):
        msg = f"STRIDED_SLICE: output '{output.name}' takes an index outside of '{source.name}'."
        raise ConversionError(msg, remedy="Correct the slice in the model and convert it again.")
    shape = tuple(part.length for part, gone in zip(ranges, shrunk, strict=True) if not gone)
    require_shape(operator, output, shape)
    return _take(operator, source, output, ranges)


def strided_range(
    axis: int, begin: int, end: int, stride: int, size: int, options: Mapping[str, Any]
) -> Range:
    """Return what a strided slice takes of a dimension.

    Source: TFLite kernels/internal/strided_slice_logic.h, StartForAxis and StopForAxis.
    """
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    first, last = (low, high) if stride > 0 else (high, low)
    start = min(max(begin + size if begin < 0 else begin, low), high)
    if options["begin_mask"] & 1 << axis:
        start = first
    if options["shrink_axis_mask"] & 1 << axis:
        return Range(start, stride, 1)
    stop = min(max(end + size if end < 0 else end, low), high)
    if options["end_mask"] & 1 << axis:
        stop = last
    return Range(start, stride, max(0, math.ceil((stop - start) / stride)))


def _numbers(subgraph: Subgraph, operator: Operator, place: int, source: Tensor) -> list[int]:
    tensor = subgraph.tensors[operator.inputs[place]]
    numbers: list[int] = constant(operator, tensor).reshape(-1).tolist()
    if len(numbers) != len(source.shape):
        msg = f"{operator.op}: tensor '{tensor.name}' has {len(numbers)} numbers for {list(source.shape)}."
        raise ConversionError(msg, remedy="Write the slice out, one begin and end for each dimension.")
    return numbers


def _take(operator: Operator, source: Tensor, output: Tensor, ranges: Sequence[Range]) -> list[Call]:
    steps = steps_of(source.shape)
    counts = [part.length for part in ranges]
    axes = [
        Axis(part.length, part.step * step, out)
        for part, step, out in zip(ranges, steps, steps_of(counts), strict=True)
    ]
    begin = sum(part.begin * step for part, step in zip(ranges, steps, strict=True))
    return move(operator, source, output, axes, (begin, 0))
