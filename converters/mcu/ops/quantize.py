"""QUANTIZE and DEQUANTIZE: between real and stored numbers, and from one quantization to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.fixed_point import requantize
from edgepack.converters.mcu.ops.lookup import lookup_call
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph
    from edgepack.converters.mcu.program import Call


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of QUANTIZE.

    Raises:
        ConversionError: Types that the kernel does not take.

    Source: TFLite reference/requantize.h, Requantize.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    factor = quantize_multiplier(float(scale) / float(output_scale))

    def rescale(value: int) -> int:
        return output_zero + requantize(value - zero, factor)

    return lookup_call(operator, source, output, rescale)
