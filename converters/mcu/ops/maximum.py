"""MAXIMUM and MINIMUM: int8, int16, int32 and float32, with broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.broadcast import broadcast_of, writes_over
from edgepack.converters.mcu.ops.shapes import label_of, one_dtype_of, require_one_quantization
from edgepack.converters.mcu.program import Call

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

DTYPES = ("int8", "int16", "int32", "float32")
_SUFFIX = {"int8": "s8", "int16": "s16", "int32": "s32", "float32": "f32"}


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an elementwise maximum or minimum.

    Raises:
        ConversionError: Types that no kernel takes, shapes that do not broadcast, or tensors of different
            quantization: TFLite compares stored numbers.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (first, second, output), DTYPES)
    require_one_quantization(operator, (first, second, output))
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel=f"ep_{operator.op.lower()}_{_SUFFIX[dtype]}",
        struct="ep_broadcast",
        constants=dict(broadcast_of(operator, first, second, output).members),
        inputs=(first.index, second.index),
        outputs=(output.index,),
        in_place=writes_over(first, second, output),
    )
