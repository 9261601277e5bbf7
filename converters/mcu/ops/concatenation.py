"""CONCATENATION and PACK: each input is moved to its place in the output, or computed there to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.moves import Axis, axis_of, move, steps_of
from edgepack.converters.mcu.ops.shapes import require_one_scale, require_shape

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph
    from edgepack.converters.mcu.program import Call


def lower(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a concatenation.

    Raises:
        ConversionError: Shapes that do not add up, an activation, or inputs of other scales than the output.
    """
    output = subgraph.tensors[operator.outputs[0]]
    activation = operator.options["fused_activation_function"]
    if activation != "NONE":
        msg = f"CONCATENATION: output '{output.name}' has a fused activation {activation}, expected NONE."
        raise ConversionError(msg, remedy="Put the activation before the concatenation.")
    axis = axis_of(operator, output, operator.options["axis"])
    steps = steps_of(output.shape)
    calls, begin = [], 0
    for index in operator.inputs:
        source = subgraph.tensors[index]
        require_one_scale(operator, source, output)
        size = source.shape[axis] if len(source.shape) == len(output.shape) else 0
        require_shape(operator, source, (*output.shape[:axis], size, *output.shape[axis + 1 :]))
        axes = map(Axis, source.shape, steps_of(source.shape), steps)
        calls += move(operator, source, output, axes, (0, begin * steps[axis]))
        begin += size
    if begin != output.shape[axis]:
        msg = (
            f"CONCATENATION: output '{output.name}' has {output.shape[axis]} along axis {axis}, not {begin}."
        )
        raise ConversionError(msg, remedy="The file is damaged: convert the model again.")
    return calls


def lower_pack(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a PACK, which adds a dimension. Raises as `lower` does."""
    output = subgraph.tensors[operator.outputs[0]]
    axis = axis_of(operator, output, operator.options["axis"])
    steps = steps_of(output.shape)
    calls = []
    if len(operator.inputs) != output.shape[axis]:
        msg = f"PACK: {len(operator.inputs)} inputs, output '{output.name}' is {list(output.shape)}."
        raise ConversionError(msg, remedy="The file is damaged: convert the model again.")
    for number, index in enumerate(operator.inputs):
        source = subgraph.tensors[index]
        require_one_scale(operator, source, output)
        require_shape(operator, source, (*output.shape[:axis], *output.shape[axis + 1 :]))
        axes = map(Axis, source.shape, steps_of(source.shape), steps[:axis] + steps[axis + 1 :])
        calls += move(operator, source, output, axes, (0, number * steps[axis]))
    return calls
