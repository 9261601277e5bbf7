"""SELECT_V2 with broadcasting, and the logical operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.broadcast import broadcast_of, loops_of, writes_over
from edgepack.converters.mcu.ops.shapes import (
    label_of,
    one_dtype_of,
    require_dtype,
    require_one_quantization,
)
from edgepack.converters.mcu.program import DTYPE_BYTES, Call, Struct

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "float32")


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a choice between two tensors, element by element.

    Raises:
        ConversionError: A condition that is no truth value, operands of different type or quantization, or
            shapes that do not broadcast.
    """
    condition, first, second = (subgraph.tensors[i] for i in operator.inputs[:3])
    output = subgraph.tensors[operator.outputs[0]]
    require_dtype(operator, condition, "bool")
    dtype = one_dtype_of(operator, (first, second, output), DTYPES)
    require_one_quantization(operator, (first, second, output))
    sizes, steps = loops_of(operator, (condition, first, second), output)
    loops = {f"size_{i}": size for i, size in enumerate(sizes)}
    for name, taken in zip(("first", "second"), steps[1:], strict=True):
        loops |= {f"{name}_{i}": step for i, step in enumerate(taken)}
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel=f"ep_select_{8 * DTYPE_BYTES[dtype]}",
        struct="ep_select",
        constants={"loops": Struct(loops), **{f"condition_{i}": step for i, step in enumerate(steps[0])}},
        inputs=(condition.index, first.index, second.index),
        outputs=(output.index,),
        in_place=writes_over(first, second, output),
    )


def lower_logical(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of LOGICAL_AND or LOGICAL_OR.

    Raises:
        ConversionError: A tensor that is no truth value, or shapes that do not broadcast.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    one_dtype_of(operator, (first, second, output), ("bool", "bool"))
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel=f"ep_{operator.op.lower()}",
        struct="ep_broadcast",
        constants=dict(broadcast_of(operator, first, second, output).members),
        inputs=(first.index, second.index),
        outputs=(output.index,),
        in_place=writes_over(first, second, output),
    )


def lower_not(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of LOGICAL_NOT. Raises as `lower_logical` does."""
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    one_dtype_of(operator, (source, output), ("bool", "bool"))
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_logical_not",
        struct="ep_real",
        constants={"size": output.elements},
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),),
    )
