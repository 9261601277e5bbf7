"""SOFTMAX over the last dimension, int8 to int8."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

_INTEGER_BITS = 5
"""Integer bits of a difference to the largest input. Source: TFLite, kScaledDiffIntegerBits."""


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a softmax.

    Raises:
        ConversionError: Types that the kernel does not take.

    Source: TFLite kernels/internal/quantization_util.cc, PreprocessSoftmaxScaling and CalculateInputRadius.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    require_dtype(operator, source, "int8")
    require_dtype(operator, output, "int8")
    scale, _ = scale_of(source)
    beta = operator.options["beta"]
    factor = min(beta * float(scale) * (1 << (31 - _INTEGER_BITS)), (1 << 31) - 1.0)
    multiplier, left_shift = quantize_multiplier(factor)
    largest = ((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << left_shift)
    depth = source.shape[-1]
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_softmax_s8",
        struct="ep_softmax",
        constants={
            "rows": source.elements // depth, "depth": depth,
            "multiplier": multiplier, "left_shift": left_shift, "diff_min": -math.floor(largest),
        },
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),),
    )  # fmt: skip
