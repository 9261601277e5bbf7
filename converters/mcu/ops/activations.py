"""RELU and its kin, LEAKY_RELU, HARD_SWISH, LOGISTIC, TANH and ELU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.fixed_point import (
    doubling_high_mul,
    logistic,
    requantize,
    rounding_shift_right,
    tanh,
)
from edgepack.converters.mcu.ops.activations_s16 import leaky_relu_call, relu_call, sigmoid_call
from edgepack.converters.mcu.ops.lookup import lookup_call, real_function
from edgepack.converters.mcu.ops.real import real_call
from edgepack.converters.mcu.ops.shapes import one_dtype_of
from edgepack.converters.mcu.requantize import (
    Multiplier,
    activation_range,
    quantize_multiplier,
    real_activation_range,
    scale_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.converters.graph import Operator, Subgraph, Tensor
    from edgepack.converters.mcu.program import Call

DTYPES = ("int8", "float32")
WITH_INT16 = ("LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "TANH")
"""Operators that have kernels in 16 bits too."""
_INTEGER_BITS = 4
"""Integer bits of LOGISTIC's and TANH's argument. Source: TFLite micro/kernels/logistic_common.cc."""


def lower_relu(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of RELU, RELU6, RELU_0_TO_1 or RELU_N1_TO_1.

    Raises:
        ConversionError: Types that the kernel does not take.

    Source: TFLite micro/kernels/activations_common.cc, CalculateReluOpData.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "int16":
        return relu_call(operator, source, output)
    if source.dtype == "float32":
        bounds = real_activation_range(operator.op, "float32")
        return real_call(operator, source, output, "relu", *bounds)
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    factor = quantize_multiplier(float(scale) / float(output_scale))
    low, high = activation_range(operator.op, output)

    def relu(value: int) -> int:
        return max(low, min(high, output_zero + requantize(value - zero, factor)))

    return lookup_call(operator, source, output, relu)


def lower_leaky_relu(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a leaky ReLU. Raises as `lower_relu` does.

    Source: TFLite micro/kernels/leaky_relu_common.cc: factors in double precision.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "int16":
        return leaky_relu_call(operator, source, output)
    if source.dtype == "float32":
        return real_call(operator, source, output, "leaky_relu", operator.options["alpha"])
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    identity = quantize_multiplier(float(scale) / float(output_scale))
    slope = operator.options["alpha"]
    alpha = quantize_multiplier(float(scale) * abs(slope) / float(output_scale))

    def leaky_relu(value: int) -> int:
        if value >= zero:
            return output_zero + requantize(value - zero, identity)
        below = requantize(value - zero, alpha)  # ties fall as for a positive slope
        return output_zero + (below if slope >= 0 else -below)

    return lookup_call(operator, source, output, leaky_relu)


def lower_logistic(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a logistic function.

    Raises:
        ConversionError: Types that the kernel does not take, or an output that is not -128 to 127 in 1/256.

    Source: TFLite reference/integer_ops/logistic.h.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "int16":
        return sigmoid_call(operator, source, output)
    if source.dtype == "float32":
        return real_call(operator, source, output, "logistic")
    _require_output(operator, output, 1 / 256, -128)
    return lookup_call(operator, source, output, _sigmoid_like(source, logistic, 8, -128))


def lower_tanh(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a hyperbolic tangent.

    Raises:
        ConversionError: Types that the kernel does not take, or an output that is not -128 to 127 in 1/128.

    Source: TFLite reference/integer_ops/tanh.h.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "int16":
        return sigmoid_call(operator, source, output)
    if source.dtype == "float32":
        return real_call(operator, source, output, "tanh")
    _require_output(operator, output, 1 / 128, 0)
    return lookup_call(operator, source, output, _sigmoid_like(source, tanh, 7, 0))


def _sigmoid_like(
    source: Tensor, function: Callable[[int, int], int], output_bits: int, output_zero: int
) -> Callable[[int], int]:
    """Return LOGISTIC or TANH of a stored input, not clamped.

    Source: TFLite micro/kernels/logistic_common.cc and tanh.cc.
    """
    scale, zero = scale_of(source)
    fraction, shift = math.frexp(float(scale) * (1 << (31 - _INTEGER_BITS)))
    factor = Multiplier(math.floor(fraction * (1 << 31) + 0.5), shift)
    radius = math.floor(math.ldexp(((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)), -shift))
    limits = np.iinfo(np.int8)

    def evaluate(value: int) -> int:
        if value - zero <= -radius:
            return int(limits.min)
        if value - zero >= radius:
            return int(limits.max)
        result = function(requantize(value - zero, factor), _INTEGER_BITS)
        return rounding_shift_right(result, 31 - output_bits) + output_zero

    return evaluate


def lower_elu(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an exponential linear unit. Raises as `lower_relu` does.

    Source: TFLite micro/kernels/elu.cc: a table too, in single precision.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "float32":
        return real_call(operator, source, output, "elu")

    def elu(real: float) -> float:
        return float(np.float32(math.exp(real)) - np.float32(1)) if real < 0 else real

    return lookup_call(operator, source, output, real_function(source, output, elu))


def lower_hard_swish(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of x * relu6(x + 3) / 6.

    Raises:
        ConversionError: Types that the kernel does not take, or a scale over 128 times the output's.

    Source: TFLite micro/kernels/hard_swish_common.cc, reference/hard_swish.h: 16-bit fixed point.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "float32":
        return real_call(operator, source, output, "hard_swish")
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    fine_scale = np.float32(1 / 128) * scale
    out = quantize_multiplier(float(fine_scale / output_scale))
    relu = quantize_multiplier(float(fine_scale / (np.float32(3) / np.float32(32768))))
    if out.shift > 0:
        found = f"input '{source.name}' has scale {scale}"
        msg = f"HARD_SWISH: {found}, expected at most 128 times the output's, {output_scale}."
        raise ConversionError(msg, remedy="Quantize the model with representative data.")

    def hard_swish(value: int) -> int:
        fine = (value - zero) * 128
        on_output = _mul_16(_int16(fine), _to_16(out.multiplier))
        slope = _int16(fine)
        if relu.shift > 0:
            slope = _saturate_16(slope << (relu.shift - 1))
        slope = _mul_16(slope, _to_16(relu.multiplier))
        if relu.shift > 0:
            slope = _saturate_16(slope * 2)
        if relu.shift < 0:
            slope = _shift_right_16(slope, -relu.shift)
        product = ((slope + (1 << 15)) >> 1) * on_output
        before = product >> 15 if product >= 0 else -(-product >> 15)
        return _int16(_shift_right_16(before, -out.shift) + output_zero)

    return lookup_call(operator, source, output, hard_swish)


def _to_16(multiplier: int) -> int:
    """Return a Q0.31 as Q0.15. Source: TFLite kernels/internal/common.h, DownScaleInt32ToInt16Multiplier."""
    return (1 << 15) - 1 if multiplier >= (1 << 31) - (1 << 15) else (multiplier + (1 << 15)) >> 16


def _mul_16(a: int, b: int) -> int:
    """Return round(a * b / 2^15), as `doubling_high_mul` does for 32 bits."""
    return _saturate_16(doubling_high_mul(a << 16, b))


def _shift_right_16(x: int, exponent: int) -> int:
    """Return round(x / 2^exponent); from 16 bits on, gemmlowp's mask of 16 bits leaves the sign."""
    if exponent < 16:
        return rounding_shift_right(x, exponent)
    return 1 if x >= 0 else -1


def _int16(x: int) -> int:
    return (x + (1 << 15)) % (1 << 16) - (1 << 15)


def _saturate_16(x: int) -> int:
    return max(-(1 << 15), min((1 << 15) - 1, x))


def dtypes_of(op: str) -> tuple[str, ...]:
    """Return the types in which an operator of this file has kernels."""
    return ("int8", "int16", "float32") if op in WITH_INT16 else DTYPES


def _tensors(subgraph: Subgraph, operator: Operator) -> tuple[Tensor, Tensor]:
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    one_dtype_of(operator, (source, output), dtypes_of(operator.op))
    return source, output


def _require_output(operator: Operator, output: Tensor, scale: float, zero_point: int) -> None:
    found_scale, found_zero = scale_of(output)
    if abs(float(found_scale) / scale - 1) > 1e-3 or found_zero != zero_point:
        msg = f"{operator.op}: output '{output.name}' has scale {found_scale} and zero point {found_zero}, "
        msg += f"expected {scale} and {zero_point}."
        raise ConversionError(msg, remedy="Quantize the model again: TFLite fixes this operator's output.")
