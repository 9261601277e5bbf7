"""SPLIT, SPLIT_V and UNPACK: each output is moved out of the input, or read where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.moves import Axis, axis_of, move, steps_of
from edgepack.converters.mcu.ops.shapes import require_shape

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph
    from edgepack.converters.mcu.program import Call


def lower(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a SPLIT: the axis, then the tensor.

    Raises:
        ConversionError: The axis is computed, or the shapes do not add up.
    """
    return _lower(subgraph, operator, source=1, axis=0)


def lower_v(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a SPLIT_V: the tensor, the sizes, the axis. Raises as `lower` does."""
    return _lower(subgraph, operator, source=0, axis=2)


def _lower(subgraph: Subgraph, operator: Operator, *, source: int, axis: int) -> list[Call]:
    tensor = subgraph.tensors[operator.inputs[source]]
    along = int(constant(operator, subgraph.tensors[operator.inputs[axis]]).reshape(-1)[0])
    along = axis_of(operator, tensor, along)
    steps = steps_of(tensor.shape)
    calls, begin = [], 0
    for index in operator.outputs:
        output = subgraph.tensors[index]
        size = output.shape[along] if len(output.shape) == len(tensor.shape) else 0
        require_shape(operator, output, (*tensor.shape[:along], size, *tensor.shape[along + 1 :]))
        axes = map(Axis, output.shape, steps, steps_of(output.shape))
        calls += move(operator, tensor, output, axes, (begin * steps[along], 0))
        begin += size
    if begin != tensor.shape[along]:
        msg = (
            f"{operator.op}: the outputs take {begin} of '{tensor.name}' {list(tensor.shape)}, axis {along}."
        )
        raise ConversionError(msg, remedy="The file is damaged: convert the model again.")
    return calls


def lower_unpack(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of an UNPACK, which drops a dimension. Raises as `lower` does."""
    tensor = subgraph.tensors[operator.inputs[0]]
    axis = axis_of(operator, tensor, operator.options["axis"])
    steps = steps_of(tensor.shape)
    calls = []
    if len(operator.outputs) != tensor.shape[axis]:
        msg = f"UNPACK: {len(operator.outputs)} outputs of '{tensor.name}' {list(tensor.shape)}, axis {axis}."
        raise ConversionError(msg, remedy="The file is damaged: convert the model again.")
    for number, index in enumerate(operator.outputs):
        output = subgraph.tensors[index]
        require_shape(operator, output, (*tensor.shape[:axis], *tensor.shape[axis + 1 :]))
        axes = map(Axis, output.shape, steps[:axis] + steps[axis + 1 :], steps_of(output.shape))
        calls += move(operator, tensor, output, axes, (number * steps[axis], 0))
    return calls
