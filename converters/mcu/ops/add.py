"""ADD and SUB: int8, int16, int32 and float32, with broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
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
LEFT_SHIFT = {"int8": 20, "int16": 15}
"""Bits that inputs gain before they are rescaled. Source: TFLite kernels/add.cc, left_shift."""
_SUFFIX = {"int8": "s8", "int16": "s16", "int32": "s32", "float32": "f32"}


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an addition or subtraction.

    Raises:
        ConversionError: Types that no kernel takes, or shapes that do not broadcast.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (first, second, output), DTYPES)
    loops = broadcast_of(operator, first, second, output)
    plain = operator.op == "ADD" and dtype == "int8" and first.shape == second.shape
    computed = not first.is_constant and not second.is_constant
    if plain and computed:  # what the tiers for cores make faster
        kernel, struct = "ep_add_s8", "ep_add"
        constants = {"size": output.elements, **_quantized(operator, first, second, output)}
    elif dtype in LEFT_SHIFT:
        kernel, struct = f"ep_{operator.op.lower()}_broadcast_{_SUFFIX[dtype]}", "ep_add_broadcast"
        constants = {"loops": loops, **_quantized(operator, first, second, output)}
    else:
        kernel, struct = f"ep_{operator.op.lower()}_{_SUFFIX[dtype]}", f"ep_binary_{_SUFFIX[dtype]}"
        low, high = real_activation_range(operator.options["fused_activation_function"], dtype)
        constants = {"loops": loops, "activation_min": low, "activation_max": high}
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel=kernel,
        struct=struct,
        constants=constants,
        inputs=(first.index, second.index),
        outputs=(output.index,),
        in_place=writes_over(first, second, output),
    )


def _quantized(
    operator: Operator, first: Tensor, second: Tensor, output: Tensor
) -> dict[str, int | float | Struct]:
    """Return the members of `ep_add` but its size.

    Raises:
        ConversionError: The output's scale is too small for TFLite's arithmetic.

    Source: TFLite micro/kernels/add_common.cc, CalculateOpDataAdd, and sub_common.cc: in double precision.
    """
    if output.dtype == "int16":
        require_symmetric(operator, (first, second, output))
    left_shift = LEFT_SHIFT[output.dtype]
    (scale_1, zero_1), (scale_2, zero_2), (scale, zero) = scale_of(first), scale_of(second), scale_of(output)
    twice_largest = 2 * max(float(scale_1), float(scale_2))
    one = quantize_multiplier(float(scale_1) / twice_largest)
    two = quantize_multiplier(float(scale_2) / twice_largest)
    out = quantize_multiplier(twice_largest / ((1 << left_shift) * float(scale)))
    if out.shift > 0:
        found = f"output '{output.name}' has scale {scale}, far below its inputs' {scale_1} and {scale_2}"
        msg = f"{operator.op}: {found}, expected at least 2^-{left_shift - 1} of the larger."
        raise ConversionError(msg, remedy="Quantize the model with representative data.")
    low, high = activation_range(operator.options["fused_activation_function"], output)
    return {
        "left_shift": left_shift,
        "offset_1": -zero_1, "multiplier_1": one.multiplier, "shift_1": one.shift,
        "offset_2": -zero_2, "multiplier_2": two.multiplier, "shift_2": two.shift,
        "output_offset": zero, "output_multiplier": out.multiplier, "output_shift": out.shift,
        "activation_min": low, "activation_max": high,
    }  # fmt: skip
