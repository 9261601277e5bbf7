"""CONV_2D and DEPTHWISE_CONV_2D, int8 with int8 weights per channel."""

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


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a convolution; weights [out, height, width, in].

    Raises:
        ConversionError: Types or shapes that the kernel does not take.
    """
    return _lower(subgraph, operator, kernel="ep_conv_2d_s8", channel_axis=0)


def lower_depthwise(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a depthwise convolution; weights [1, height, width, out]. Raises as `lower` does."""
    return _lower(subgraph, operator, kernel="ep_depthwise_conv_2d_s8", channel_axis=3)


def _lower(subgraph: Subgraph, operator: Operator, *, kernel: str, channel_axis: int) -> Call:
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    weights = subgraph.tensors[operator.inputs[1]]
    bias = (
        subgraph.tensors[operator.inputs[2]] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else None
    )
    require_dtype(operator, source, "int8")
    require_dtype(operator, output, "int8")
    require_dtype(operator, weights, "int8")
    data = constant(operator, weights)
    channels = data.shape[channel_axis]
    assert weights.quantization is not None
    scales = np.broadcast_to(weights.quantization.scale, channels)
    input_scale, input_zero = scale_of(source)
    output_scale, output_zero = scale_of(output)
    dilation = operator.options["dilation_h_factor"], operator.options["dilation_w_factor"]
    low, high = activation_range(operator.options["fused_activation_function"], output)
    height, width = data.shape[1:3]
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=kernel,
        struct="ep_conv_2d",
        constants={
            "window": window_of(operator, source, output, (height, width), dilation),
            "weights": Table("int8_t", data.reshape(-1)),
            "channels": channel_table(
                None if bias is None else constant(operator, bias),
                channel_multipliers(input_scale, scales, output_scale),
            ),
            "input_offset": -input_zero,
            "output_offset": output_zero,
            "activation_min": low,
            "activation_max": high,
        },
        inputs=(source.index,),
        outputs=(output.index,),
        macs=output.elements * (data.size // channels),
    )
