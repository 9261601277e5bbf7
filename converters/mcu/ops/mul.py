"""MUL: int8, int16, int32 and float32, with broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.broadcast import broadcast_of, writes_over
from edgepack.converters.mcu.ops.shapes import label_of, one_dtype_of, require_symmetric
from edgepack.converters.mcu.program import Call, Struct
from edgepack.converters.mcu.requantize import (
    activation_range,
    quantize_multiplier,
    real_activation_range,
    scale_of,
)

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

DTYPES = ("int8", "int16", "int32", "float32")
_SUFFIX = {"int8": "s8", "int16": "s16", "int32": "s32", "float32": "f32"}


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a multiplication.

    Raises:
        ConversionError: Types that no kernel takes, or shapes that do not broadcast.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (first, second, output), DTYPES)
    constants: dict[str, int | float | Struct] = {"loops": broadcast_of(operator, first, second, output)}
    if dtype in ("int8", "int16"):
        struct = "ep_mul"
        constants |= _quantized(operator, first, second, output)
    else:
        struct = f"ep_binary_{_SUFFIX[dtype]}"
        low, high = real_activation_range(operator.options["fused_activation_function"], dtype)
        constants |= {"activation_min": low, "activation_max": high}
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel=f"ep_mul_{_SUFFIX[dtype]}",
        struct=struct,
        constants=constants,
        inputs=(first.index, second.index),
        outputs=(output.index,),
        in_place=writes_over(first, second, output),
    )


def _quantized(operator: Operator, first: Tensor, second: Tensor, output: Tensor) -> dict[str, int]:
    """Return the members of `ep_mul` behind its loops.

    Source: TFLite micro/kernels/mul_common.cc, CalculateOpDataMul: in double precision.
    """
    if output.dtype == "int16":
        require_symmetric(operator, (first, second, output))
    (scale_1, zero_1), (scale_2, zero_2), (scale, zero) = scale_of(first), scale_of(second), scale_of(output)
    factor = quantize_multiplier(float(scale_1) * float(scale_2) / float(scale))
    low, high = activation_range(operator.options["fused_activation_function"], output)
    return {
        "offset_1": -zero_1, "offset_2": -zero_2,
        "output_offset": zero, "output_multiplier": factor.multiplier, "output_shift": factor.shift,
        "activation_min": low, "activation_max": high,
    }  # fmt: skip
