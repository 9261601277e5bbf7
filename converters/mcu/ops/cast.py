"""CAST between truth values, integers and float32: stored numbers as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of
from edgepack.converters.mcu.program import Call

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "float32")
"""In the order of the enumeration in `ep_arithmetic.h`."""


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a conversion between types.

    Raises:
        ConversionError: A type that no kernel takes.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    for tensor in (source, output):
        if tensor.dtype not in DTYPES:
            found = f"CAST: tensor {tensor.index} '{tensor.name}' is {tensor.dtype}"
            msg = f"{found}, expected {', '.join(DTYPES)}."
            raise ConversionError(msg, remedy="Cast to int32 or float32 in the model.")
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_cast",
        struct="ep_cast_constants",
        constants={
            "size": output.elements,
            "from": DTYPES.index(source.dtype) or DTYPES.index("uint8"),  # a truth value is a byte
            "to": DTYPES.index(output.dtype),
        },
        inputs=(source.index,),
        outputs=(output.index,),
    )
