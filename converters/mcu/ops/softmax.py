"""SOFTMAX over the last dimension: int8 to int8 or int16, int16 and float32."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype
from edgepack.converters.mcu.program import Call, Table
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.converters.graph import Operator, Subgraph, Tensor

_INTEGER_BITS = 5
"""Integer bits of a difference to the largest input. Source: TFLite, kScaledDiffIntegerBits."""
_OUTPUTS = {
    ("int8", "int8"): (1 / 256, -128),
    ("int8", "int16"): (1 / 65536, -32768),
    ("int16", "int16"): (1 / 32768, 0),
}
"""Scale and zero point that TFLite gives the output of each pair of types."""


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a softmax.

    Raises:
        ConversionError: Types that no kernel takes, or an output in other units than TFLite's.
    """
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    depth = source.shape[-1]
    rows: dict[str, int | float | Table] = {"rows": source.elements // depth, "depth": depth}
    beta = operator.options["beta"]
    if source.dtype == "float32":
        require_dtype(operator, output, "float32")
        kernel, struct = "ep_softmax_f32", "ep_softmax_real"
        rows["beta"] = float(beta)
    elif source.dtype == "int16":
        _require_output(operator, source, output)
        kernel, struct = "ep_softmax_s16", "ep_softmax_s16_constants"
        rows |= _tables(source, beta)
    else:
        require_dtype(operator, source, "int8")
        _require_output(operator, source, output)
        kernel, struct = ("ep_softmax_s8" if output.dtype == "int8" else "ep_softmax_s8_s16"), "ep_softmax"
        rows |= _differences(source, beta)
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=kernel,
        struct=struct,
        constants=rows,
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),) if source.dtype == output.dtype else (),
    )


def _differences(source: Tensor, beta: float) -> dict[str, int]:
    """Return the members of `ep_softmax` behind rows and depth.

    Source: TFLite kernels/internal/quantization_util.cc, PreprocessSoftmaxScaling and CalculateInputRadius.
    """
    scale, _ = scale_of(source)
    factor = min(beta * float(scale) * (1 << (31 - _INTEGER_BITS)), (1 << 31) - 1.0)
    multiplier, left_shift = quantize_multiplier(factor)
    largest = ((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << left_shift)
    return {"multiplier": multiplier, "left_shift": left_shift, "diff_min": -math.floor(largest)}


def _tables(source: Tensor, beta: float) -> dict[str, int | Table]:
    """Return the members of `ep_softmax_s16_constants` behind rows and depth.

    Source: TFLite micro/kernels/softmax_common.cc: differences in units of 10 / 65535.
    """
    factor = quantize_multiplier(float(scale_of(source)[0]) * beta / (10.0 / 65535.0))
    return {
        "multiplier": factor.multiplier,
        "shift": factor.shift,
        "exp": _table(math.exp, -10.0, 0.0),
        "reciprocal": _table(lambda x: 1.0 / (1.0 + x), 0.0, 1.0),
    }


def _table(function: Callable[[float], float], low: float, high: float) -> Table:
    """Return 513 values of a function in Q0.15, moved by half the error of the line between two.

    Source: TFLite kernels/internal/common.h, gen_lut: in single precision.
    """
    single = np.float32
    step = single((single(high) - single(low)) / single(512))
    half_step = single(step / single(2))
    inverse = single(32768.0)  # 65536 steps over [-1, 1]

    def evaluate(x: np.float32) -> np.float32:
        found: np.float32 = single(function(float(x)))
        return found

    def rounded(x: np.float32) -> np.float32:
        found: np.float32 = single(math.copysign(math.floor(abs(float(x)) + 0.5), float(x)))
        return found

    values = []
    for i in range(512):
        begin = single(single(low) + single(i) * step)
        value = evaluate(begin)
        sample = rounded(value * inverse)
        following = evaluate(single(single(low) + single(i + 1) * step))
        between = rounded(single((following * inverse + rounded(value * inverse)) / single(2)))
        middle = rounded(evaluate(single(begin + half_step)) * inverse)
        bias = rounded(single((between - middle) / single(2)))
        values.append(max(-32768.0, min(32767.0, float(sample - bias))))
    values.append(max(-32768.0, min(32767.0, float(rounded(evaluate(single(high)) * inverse)))))
    return Table("int16_t", np.array(values, np.int16))


def _require_output(operator: Operator, source: Tensor, output: Tensor) -> None:
    expected = _OUTPUTS.get((source.dtype, output.dtype))
    if expected is None:
        given = f"from '{source.name}', {source.dtype}, to '{output.name}', {output.dtype}"
        msg = f"SOFTMAX {given}, has no kernel in C."
        raise ConversionError(msg, remedy="Quantize the model to int8: edgepack build MODEL --precision int8")
    scale, zero_point = scale_of(output)
    if abs(float(scale) / expected[0] - 1) > 1e-3 or zero_point != expected[1]:
        found = f"output '{output.name}' has scale {scale} and zero point {zero_point}"
        msg = f"SOFTMAX: {found}, expected {expected[0]} and {expected[1]}."
        raise ConversionError(msg, remedy="Quantize the model again: TFLite fixes this operator's output.")
