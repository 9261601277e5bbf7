"""MEAN, SUM, REDUCE_MAX, ARG_MAX and ARG_MIN over any dimensions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.shapes import (
    label_of,
    one_dtype_of,
    require_dtype,
    require_one_quantization,
    require_symmetric,
)
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import Multiplier, quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

DTYPES = {
    "ARG_MAX": ("int8", "float32"),
    "ARG_MIN": ("int8", "float32"),
    "MEAN": ("int8", "int16", "float32"),
    "REDUCE_MAX": ("int8", "float32"),
    "SUM": ("int8", "int16", "float32"),
}
_SUFFIX = {"int8": "s8", "int16": "s16", "float32": "f32"}
_LOOPS = ("kept_0", "reduced_0", "kept_1", "reduced_1", "kept_2")


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of MEAN or SUM.

    Raises:
        ConversionError: Types that no kernel takes, or dimensions that are not constant.

    Source: TFLite reference/reduce.h, QuantizedMeanOrSum: the division is part of the factor.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (source, output), DTYPES[operator.op])
    loops = _loops_of(operator, source, _axes_of(subgraph, operator, source))
    count = loops["reduced_0"] * loops["reduced_1"]
    if dtype == "float32":
        constants: dict[str, int | float] = {**loops, "divisor": float(count if operator.op == "MEAN" else 1)}
    else:
        if dtype == "int16":
            require_symmetric(operator, (source, output))
        (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
        factor = quantize_multiplier(float(scale) / float(output_scale))
        if operator.op == "MEAN":
            factor = _divided(factor, count)
        constants = {
            **loops, "input_offset": -zero * count,
            "multiplier": factor.multiplier, "shift": factor.shift, "output_offset": output_zero,
        }  # fmt: skip
    return _call(operator, source, output, f"ep_sum_{_SUFFIX[dtype]}", "ep_sum", constants, dtype)


def lower_max(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of REDUCE_MAX. Raises as `lower` does, and where the output is quantized otherwise."""
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (source, output), DTYPES[operator.op])
    require_one_quantization(operator, (source, output))
    loops = _loops_of(operator, source, _axes_of(subgraph, operator, source))
    kernel = f"ep_reduce_max_{_SUFFIX[dtype]}"
    return _call(operator, source, output, kernel, "ep_reduce", dict(loops), "")


def lower_arg(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of ARG_MAX or ARG_MIN; of equal elements, the first.

    Raises:
        ConversionError: As for `lower`, or an output that is not int32.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (source,), DTYPES[operator.op])
    require_dtype(operator, output, "int32")
    (axis,) = _axes_of(subgraph, operator, source)
    constants = {
        "outer": math.prod(source.shape[:axis]),
        "size": source.shape[axis],
        "inner": math.prod(source.shape[axis + 1 :]),
    }
    kernel = f"ep_{operator.op.lower()}_{_SUFFIX[dtype]}"
    return _call(operator, source, output, kernel, "ep_arg_max", dict(constants), "")


def _call(
    operator: Operator,
    source: Tensor,
    output: Tensor,
    kernel: str,
    struct: str,
    constants: dict[str, int | float],
    dtype: str,
) -> Call:
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=kernel,
        struct=f"{struct}_f32_constants" if dtype == "float32" else struct,
        constants=constants,
        inputs=(source.index,),
        outputs=(output.index,),
    )


def _divided(factor: Multiplier, count: int) -> Multiplier:
    """Return a factor / count, with as many bits as TFLite keeps.

    Source: TFLite reference/reduce.h, QuantizedMeanOrSum.
    """
    shift = min(count.bit_length() - 1, 32, 31 + factor.shift)
    return Multiplier((factor.multiplier << shift) // count, factor.shift - shift)


def _axes_of(subgraph: Subgraph, operator: Operator, source: Tensor) -> list[int]:
    """Return the dimensions that an operator reduces, each once, ascending."""
    tensor = subgraph.tensors[operator.inputs[1]]
    require_dtype(operator, tensor, "int32")
    rank = len(source.shape)
    axes = [int(axis) for axis in constant(operator, tensor).reshape(-1)]
    if any(not -rank <= axis < rank for axis in axes):
        msg = f"{operator.op}: dimensions {axes} of '{source.name}', which has {rank}."
        raise ConversionError(msg, remedy="The file is damaged: export it again.")
    return sorted({axis % rank for axis in axes})


def _loops_of(operator: Operator, source: Tensor, axes: list[int]) -> dict[str, int]:
    """Return the sizes of five loops that kept and reduced dimensions make, in turn."""
    sizes = [1]
    for axis, size in enumerate(source.shape):
        reduced = axis in axes
        if size == 1:
            continue
        if reduced == (len(sizes) % 2 == 0):
            sizes[-1] *= size
        else:
            sizes.append(size)
    if len(sizes) > len(_LOOPS):
        msg = f"{operator.op}: reduces scattered dimensions {axes} of '{source.name}' {list(source.shape)}."
        raise ConversionError(msg, remedy="Transpose the tensor first, so that they are neighbours.")
    return dict(zip(_LOOPS, sizes + [1] * (len(_LOOPS) - len(sizes)), strict=True))
