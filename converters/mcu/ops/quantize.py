"""QUANTIZE and DEQUANTIZE: between real and stored numbers, and from one quantization to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.fixed_point import requantize
from edgepack.converters.mcu.ops.lookup import lookup_call
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

_SUFFIX = {"int8": "s8", "uint8": "u8", "int16": "s16", "int32": "s32", "float32": "f32"}
QUANTIZED = {
    "float32": ("int8", "int16"),
    "int8": ("int8", "uint8", "int16", "int32"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
    "uint8": ("int8",),
}
"""The types that QUANTIZE gives from each type, as in TFLite Micro."""
DEQUANTIZED = ("int8", "uint8", "int16")


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of QUANTIZE.

    Raises:
        ConversionError: Types that no kernel takes.

    Source: TFLite reference/requantize.h, Requantize.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    if output.dtype not in QUANTIZED.get(source.dtype, ()):
        given = f"from '{source.name}', {source.dtype}, to '{output.name}', {output.dtype}"
        msg = f"QUANTIZE {given}, has no kernel in C."
        raise ConversionError(msg, remedy="Quantize to int8 or int16.")
    if source.dtype == "float32":
        return _affine(operator, source, output, output)
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    factor = quantize_multiplier(float(scale) / float(output_scale))
    if source.dtype in ("int8", "uint8") and output.dtype in ("int8", "uint8"):
        return lookup_call(
            operator, source, output, lambda value: output_zero + requantize(value - zero, factor)
        )
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=f"ep_requantize_{_SUFFIX[source.dtype]}_{_SUFFIX[output.dtype]}",
        struct="ep_rescale",
        constants={
            "size": output.elements, "input_offset": -zero,
            "multiplier": factor.multiplier, "shift": factor.shift, "output_offset": output_zero,
        },
        inputs=(source.index,),
        outputs=(output.index,),
    )  # fmt: skip


def lower_dequantize(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of DEQUANTIZE.

    Raises:
        ConversionError: Types that no kernel takes.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    require_dtype(operator, output, "float32")
    if source.dtype not in DEQUANTIZED:
        msg = f"DEQUANTIZE: input '{source.name}' is {source.dtype}, expected {', '.join(DEQUANTIZED)}."
        raise ConversionError(msg, remedy="Quantize the model to int8: edgepack build MODEL --precision int8")
    return _affine(operator, source, output, source)


def _affine(operator: Operator, source: Tensor, output: Tensor, quantized: Tensor) -> Call:
    scale, zero = scale_of(quantized)
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=f"ep_{operator.op.lower()}_{_SUFFIX[source.dtype]}_{_SUFFIX[output.dtype]}",
        struct="ep_quantize",
        constants={"size": output.elements, "scale": float(scale), "zero_point": zero},
        inputs=(source.index,),
        outputs=(output.index,),
    )
