"""Operators of one float32 input: one small kernel each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import Call

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Tensor


def real_call(
    operator: Operator, source: Tensor, output: Tensor, kernel: str, low: float = 0.0, high: float = 0.0
) -> Call:
    """Return a call of `ep_<kernel>_f32`.

    Args:
        operator: The operator.
        source: Its input, float32.
        output: Its output.
        kernel: Name of the function.
        low: The smallest output of RELU and its kin, or the slope of LEAKY_RELU.
        high: The largest output of RELU and its kin.

    Raises:
        ConversionError: The output is not float32.
    """
    require_dtype(operator, output, "float32")
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=f"ep_{kernel}_f32",
        struct="ep_real",
        constants={"size": output.elements, "low": float(low), "high": float(high)},
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),),
    )
