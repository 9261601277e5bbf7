"""TRANSPOSE, REVERSE_V2, DEPTH_TO_SPACE, SPACE_TO_DEPTH, BROADCAST_TO and FILL: elements by other strides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.moves import Axis, axis_of, fill, move, steps_of
from edgepack.converters.mcu.ops.shapes import require_shape

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor
    from edgepack.converters.mcu.program import Call

_DAMAGED = "The file is damaged: convert the model again."


def lower(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a TRANSPOSE.

    Raises:
        ConversionError: The order of the dimensions is computed, or names one of them twice.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    order = constant(operator, subgraph.tensors[operator.inputs[1]]).reshape(-1).tolist()
    order = [axis_of(operator, source, axis) for axis in order]
    if sorted(order) != list(range(len(source.shape))):
        msg = f"TRANSPOSE: order {order} of the {len(source.shape)} dimensions of '{source.name}'."
        raise ConversionError(msg, remedy=_DAMAGED)
    require_shape(operator, output, tuple(source.shape[axis] for axis in order))
    steps = steps_of(source.shape)
    axes = map(Axis, output.shape, (steps[axis] for axis in order), steps_of(output.shape))
    return move(operator, source, output, axes)


def lower_reverse(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a REVERSE_V2. Raises where its dimensions are computed."""
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    axes = constant(operator, subgraph.tensors[operator.inputs[1]]).reshape(-1).tolist()
    turned = {axis_of(operator, source, axis) for axis in axes}
    require_shape(operator, output, source.shape)
    steps = steps_of(source.shape)
    begin = sum((source.shape[axis] - 1) * steps[axis] for axis in turned)
    ways = (
        Axis(size, -step if axis in turned else step, step)
        for axis, (size, step) in enumerate(zip(source.shape, steps, strict=True))
    )
    return move(operator, source, output, ways, (begin, 0))


def lower_depth_to_space(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a DEPTH_TO_SPACE: blocks of channels become blocks of pixels.

    Raises:
        ConversionError: The channels are not a whole number of blocks.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    return move(operator, source, output, [Axis(*axis) for axis in _blocks(operator, source, output)])


def lower_space_to_depth(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a SPACE_TO_DEPTH: blocks of pixels become blocks of channels. Raises likewise."""
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    axes = [Axis(length, wide, deep) for length, deep, wide in _blocks(operator, output, source)]
    return move(operator, source, output, axes)


def _blocks(operator: Operator, deep: Tensor, wide: Tensor) -> list[tuple[int, int, int]]:
    """Return count, step in the deep and step in the wide tensor: batch, y, block y, x, block x, channels."""
    block = operator.options["block_size"]
    if block < 1 or len(wide.shape) != 4 or len(deep.shape) != 4:
        msg = f"{operator.op}: block {block}, tensors {list(deep.shape)} and {list(wide.shape)} of rank 4."
        raise ConversionError(msg, remedy=_DAMAGED)
    batch, height, width, depth = deep.shape
    channels = wide.shape[3]
    require_shape(operator, wide, (batch, height * block, width * block, depth // (block * block)))
    require_shape(operator, deep, (batch, height, width, channels * block * block))
    row, column = wide.shape[2] * channels, channels
    return [
        (batch, height * width * depth, height * block * row),
        (height, width * depth, block * row),
        (block, block * channels, row),
        (width, depth, block * column),
        (block, channels, column),
        (channels, 1, 1),
    ]


def lower_broadcast(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a BROADCAST_TO. Raises where a dimension is neither 1 nor the output's."""
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    shape = (1,) * (len(output.shape) - len(source.shape)) + source.shape
    if len(shape) > len(output.shape) or any(
        a not in (1, b) for a, b in zip(shape, output.shape, strict=False)
    ):
        msg = (
            f"{operator.op}: '{source.name}' {list(source.shape)} does not broadcast to {list(output.shape)}."
        )
        raise ConversionError(msg, remedy=_DAMAGED)
    steps = (step if size > 1 else 0 for size, step in zip(shape, steps_of(shape), strict=True))
    return move(operator, source, output, map(Axis, output.shape, steps, steps_of(output.shape)))


def lower_fill(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the call of a FILL: the shape, which must be known, and one value."""
    value, output = subgraph.tensors[operator.inputs[1]], subgraph.tensors[operator.outputs[0]]
    require_shape(operator, value, ())
    data = value.data
    if data is not None:
        return [fill(operator, output, data.reshape(-1)[0])]
    return move(operator, value, output, [Axis(math.prod(output.shape), 0, 1)])
