"""ADD of two int8 tensors of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import activation_range, quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

LEFT_SHIFT = 20
"""Bits that int8 inputs gain before they are rescaled. Source: TFLite kernels/add.cc, left_shift."""


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an addition.

    Raises:
        ConversionError: Types that the kernel does not take, or shapes that differ.

    Source: TFLite micro/kernels/add_common.cc, CalculateOpDataAdd: scales in double precision.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    for tensor in (first, second, output):
        require_dtype(operator, tensor, "int8")
    if not first.shape == second.shape == output.shape or first.is_constant or second.is_constant:
        shapes = f"{list(first.shape)} and {list(second.shape)}"
        msg = f"ADD (output '{output.name}'): inputs {shapes}, expected two computed tensors of one shape."
        raise ConversionError(msg, remedy="Fold constants into the layer before, or broadcast in the model.")
    (scale_1, zero_1), (scale_2, zero_2), (scale, zero) = scale_of(first), scale_of(second), scale_of(output)
    twice_largest = 2 * max(float(scale_1), float(scale_2))
    one = quantize_multiplier(float(scale_1) / twice_largest)
    two = quantize_multiplier(float(scale_2) / twice_largest)
    out = quantize_multiplier(twice_largest / ((1 << LEFT_SHIFT) * float(scale)))
    low, high = activation_range(operator.options["fused_activation_function"], output)
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel="ep_add_s8",
        struct="ep_add",
        constants={
            "size": output.elements, "left_shift": LEFT_SHIFT,
            "offset_1": -zero_1, "multiplier_1": one.multiplier, "shift_1": one.shift,
            "offset_2": -zero_2, "multiplier_2": two.multiplier, "shift_2": two.shift,
            "output_offset": zero, "output_multiplier": out.multiplier, "output_shift": out.shift,
            "activation_min": low, "activation_max": high,
        },
        inputs=(first.index, second.index),
        outputs=(output.index,),
        in_place=((first.index, output.index), (second.index, output.index)),
    )  # fmt: skip
