"""PRELU: int8 and float32, with a slope for each element or broadcast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.broadcast import broadcast_of
from edgepack.converters.mcu.ops.shapes import label_of, one_dtype_of
from edgepack.converters.mcu.program import Call, Struct
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

DTYPES = ("int8", "float32")


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a ReLU with learnt slopes.

    Raises:
        ConversionError: Types that no kernel takes, or shapes that do not broadcast.

    Source: TFLite micro/kernels/prelu_common.cc, CalculatePreluParams.
    """
    source, slope = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (source, slope, output), DTYPES)
    loops = broadcast_of(operator, source, slope, output)
    constants: dict[str, int | float | Struct] = dict(loops.members)
    if dtype == "int8":
        (scale, zero), (slope_scale, slope_zero), (out_scale, out_zero) = map(
            scale_of, (source, slope, output)
        )
        above = quantize_multiplier(float(scale) / float(out_scale))
        below = quantize_multiplier(float(scale) * float(slope_scale) / float(out_scale))
        constants = {
            "loops": loops,
            "input_offset": -zero, "slope_offset": -slope_zero, "output_offset": out_zero,
            "multiplier_above": above.multiplier, "shift_above": above.shift,
            "multiplier_below": below.multiplier, "shift_below": below.shift,
        }  # fmt: skip
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_prelu_s8" if dtype == "int8" else "ep_prelu_f32",
        struct="ep_prelu" if dtype == "int8" else "ep_broadcast",
        constants=constants,
        inputs=(source.index, slope.index),
        outputs=(output.index,),
        in_place=((source.index, output.index),) if source.elements == output.elements else (),
    )
