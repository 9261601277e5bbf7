"""ABS, NEG, SQRT, RSQRT, EXP and LOG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.fixed_point import inverse_sqrt, requantize
from edgepack.converters.mcu.ops.lookup import lookup_call, real_function
from edgepack.converters.mcu.ops.real import real_call
from edgepack.converters.mcu.ops.shapes import one_dtype_of
from edgepack.converters.mcu.requantize import Multiplier, quantize_multiplier, scale_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.converters.graph import Operator, Subgraph, Tensor
    from edgepack.converters.mcu.program import Call

DTYPES = ("int8", "float32")
_RSQRT_SHIFT = 20
"""Bits that keep 1 / sqrt(x) an integer. Source: TFLite micro/kernels/elementwise.cc, kShift."""
_REAL: dict[str, Callable[[float], float]] = {
    "EXP": lambda x: math.exp(x) if x < 700 else math.inf,  # a double overflows
    "LOG": lambda x: math.log(x) if x > 0 else -math.inf,
    "NEG": lambda x: -x,
    "SQRT": lambda x: math.sqrt(max(x, 0.0)),
}
"""Operators that TFLite Micro has in float32 only; in int8 they are tables, as TFLite's own EXP is."""


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of EXP, LOG, NEG or SQRT, rounded from single precision.

    Raises:
        ConversionError: Types that the kernel does not take.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "float32":
        return real_call(operator, source, output, operator.op.lower())
    return lookup_call(operator, source, output, real_function(source, output, _REAL[operator.op]))


def lower_abs(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an absolute value. Raises as `lower` does.

    Source: TFLite micro/kernels/elementwise.cc, AbsEvalQuantized.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "float32":
        return real_call(operator, source, output, operator.op.lower())
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    factor = None if scale == output_scale else quantize_multiplier(float(scale) / float(output_scale))

    def absolute(value: int) -> int:
        size = abs(value - zero)
        return output_zero + (size if factor is None else requantize(size, factor))

    return lookup_call(operator, source, output, absolute)


def lower_rsqrt(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of 1 / sqrt(x); where x is not above 0, the largest output.

    Raises:
        ConversionError: Types that the kernel does not take.

    Source: TFLite micro/kernels/elementwise.cc, RsqrtEvalQuantized, which fails for inputs below 0.
    """
    source, output = _tensors(subgraph, operator)
    if source.dtype == "float32":
        return real_call(operator, source, output, operator.op.lower())
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    factor = quantize_multiplier(1.0 / (math.sqrt(float(scale)) * float(output_scale)))
    if factor.shift > _RSQRT_SHIFT + 8:
        msg = (
            f"RSQRT: scales of '{source.name}', {scale}, and '{output.name}', {output_scale}, are too small."
        )
        raise ConversionError(msg, remedy="Quantize the model with representative data.")

    def rsqrt(value: int) -> int:
        if value <= zero:
            return 127
        multiplier, shift = inverse_sqrt(value - zero)
        data = requantize(1, Multiplier(multiplier, shift + _RSQRT_SHIFT))
        return output_zero + requantize(data, Multiplier(factor.multiplier, factor.shift - _RSQRT_SHIFT))

    return lookup_call(operator, source, output, rsqrt)


def _tensors(subgraph: Subgraph, operator: Operator) -> tuple[Tensor, Tensor]:
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    one_dtype_of(operator, (source, output), DTYPES)
    return source, output
