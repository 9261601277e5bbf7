"""FULLY_CONNECTED, int8 with int8 weights, per tensor or per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.constants import channel_table, constant
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import Call, Table
from edgepack.converters.mcu.requantize import (
    activation_range,
    channel_multipliers,
    scale_of,
    tensor_multiplier,
)

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a dense layer; weights [out, in].

    Raises:
        ConversionError: Types or shapes that the kernel does not take.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    weights = subgraph.tensors[operator.inputs[1]]
    bias = (
        subgraph.tensors[operator.inputs[2]] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else None
    )
    for tensor in (source, output, weights):
        require_dtype(operator, tensor, "int8")
    data = constant(operator, weights)
    out_size, in_size = data.shape
    input_scale, input_zero = scale_of(source)
    output_scale, output_zero = scale_of(output)
    assert weights.quantization is not None
    scales = weights.quantization.scale
    multipliers = (
        channel_multipliers(input_scale, scales, output_scale)
        if scales.size > 1
        else [tensor_multiplier(input_scale, scales[0], output_scale)] * out_size
    )
    low, high = activation_range(operator.options["fused_activation_function"], output)
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_fully_connected_s8",
        struct="ep_fully_connected",
        constants={
            "weights": Table("int8_t", data.reshape(-1)),
            "channels": channel_table(None if bias is None else constant(operator, bias), multipliers),
            "rows": source.elements // in_size,
            "input_size": in_size,
            "output_size": out_size,
            "input_offset": -input_zero,
            "output_offset": output_zero,
            "activation_min": low,
            "activation_max": high,
        },
        inputs=(source.index,),
        outputs=(output.index,),
        macs=source.elements * out_size,
    )
