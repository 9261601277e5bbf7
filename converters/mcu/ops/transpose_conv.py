"""TRANSPOSE_CONV, int8 with int8 weights per channel or per tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.ops.constants import channel_table, constant
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.ops.window import window_of
from edgepack.converters.mcu.program import Call, Table
from edgepack.converters.mcu.requantize import activation_range, channel_multipliers, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph

_BIAS = 3


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a transposed convolution; weights [out, height, width, in].

    Its window is that of the convolution which it turns around: the window's input is this output.

    Raises:
        ConversionError: Types or shapes that the kernel does not take.

    Source: TFLite micro/kernels/transpose_conv.cc.
    """
    weights, source = (subgraph.tensors[i] for i in operator.inputs[1:3])
    output = subgraph.tensors[operator.outputs[0]]
    for tensor in (source, output, weights):
        require_dtype(operator, tensor, "int8")
    present = len(operator.inputs) > _BIAS and operator.inputs[_BIAS] >= 0
    bias = constant(operator, subgraph.tensors[operator.inputs[_BIAS]]) if present else None
    data = constant(operator, weights)
    channels, height, width = data.shape[:3]
    scales = weights.quantization.scale if weights.quantization else scale_of(weights)[0]
    input_scale, input_zero = scale_of(source)
    output_scale, output_zero = scale_of(output)
    low, high = activation_range(operator.options["fused_activation_function"], output)
    factors = channel_multipliers(input_scale, np.broadcast_to(scales, channels), output_scale)
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_transpose_conv_s8",
        struct="ep_conv_2d",
        constants={
            "window": window_of(operator, output, source, (height, width)),
            "weights": Table("int8_t", data.reshape(-1)),
            "channels": channel_table(bias, factors),
            "input_offset": -input_zero,
            "output_offset": output_zero,
            "activation_min": low,
            "activation_max": high,
        },
        inputs=(source.index,),
        outputs=(output.index,),
        macs=source.elements * channels * height * width,
    )
