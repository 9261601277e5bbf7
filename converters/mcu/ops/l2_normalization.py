"""L2_NORMALIZATION over the last dimension: int8 and float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of, one_dtype_of
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

DTYPES = ("int8", "float32")
_UNIT, _DEPTH = 1 / 128, 1 << 15


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a normalization to length 1.

    Raises:
        ConversionError: Types that no kernel takes, or an output in other units than TFLite's 1/128.

    Source: TFLite reference/integer_ops/l2normalization.h.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (source, output), DTYPES)
    depth = source.shape[-1]
    if dtype == "int8":
        scale, zero = scale_of(output)
        if abs(float(scale) / _UNIT - 1) > 1e-3 or zero:
            found = f"output '{output.name}' has scale {scale} and zero point {zero}"
            msg = f"L2_NORMALIZATION: {found}, expected {_UNIT} and 0."
            raise ConversionError(
                msg, remedy="Quantize the model again: TFLite fixes this operator's output."
            )
        if depth > _DEPTH:
            msg = f"L2_NORMALIZATION: '{source.name}' has {depth} elements a row, expected at most {_DEPTH}."
            raise ConversionError(msg, remedy="Keep this operator in float32.")
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_l2_normalization_s8" if dtype == "int8" else "ep_l2_normalization_f32",
        struct="ep_l2_normalization",
        constants={
            "rows": source.elements // depth,
            "depth": depth,
            "input_offset": -scale_of(source)[1] if dtype == "int8" else 0,
        },
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),),
    )
