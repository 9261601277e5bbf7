"""TFLite's fixed-point functions on Python's integers, to compute tables when a model is compiled.

Rules:
    * Each function returns the very integers that TFLite Micro's kernels compute; `ep_fixed_point.h` holds
      the same arithmetic in C, for kernels that compute while they run.
    * A raw number in Qi.f has i integer and f = 31 - i fractional bits.

Source: gemmlowp fixedpoint/fixedpoint.h; TFLite kernels/internal/common.h. Double rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.converters.mcu.requantize import Multiplier

_MAX, _MIN = (1 << 31) - 1, -(1 << 31)
_QUARTERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""exp(-1/4), exp(-1/2), exp(-1), … exp(-16) in Q0.31."""


def doubling_high_mul(a: int, b: int) -> int:
    """Return round(a * b / 2^31), ties away from zero; saturates where both are the smallest int32."""
    if a == b == _MIN:
        return _MAX
    product = a * b
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return nudged >> 31 if nudged >= 0 else -(-nudged >> 31)


def rounding_shift_right(x: int, exponent: int) -> int:
    """Return round(x / 2^exponent), ties away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def saturating_shift_left(x: int, bits: int) -> int:
    """Return x * 2^bits, held within int32."""
    return max(_MIN, min(_MAX, x << bits))


def requantize(x: int, factor: Multiplier) -> int:
    """Return x times a factor, rounded twice; a shift to the left wraps as it does in C."""
    left, right = max(factor.shift, 0), max(-factor.shift, 0)
    shifted = ((x << left) + (1 << 31)) % (1 << 32) - (1 << 31)
    return rounding_shift_right(doubling_high_mul(shifted, factor.multiplier), right)


def exp_of_negative(a: int, integer_bits: int) -> int:
    """Return exp(a) in Q0.31 for a number at or below 0 with `integer_bits` (at most 5) integer bits.

    Source: gemmlowp, exp_on_negative_values.
    """
    if a == 0:
        return _MAX
    quarter = 1 << (31 - integer_bits - 2)
    fraction = (a & (quarter - 1)) - quarter
    remainder = fraction - a
    result = _exp_of_small(saturating_shift_left(fraction, integer_bits))
    for bit in range(integer_bits + 2):
        if remainder & (quarter << bit):
            result = doubling_high_mul(result, _QUARTERS[bit])
    return result


def _exp_of_small(a: int) -> int:
    """Return exp(a) in Q0.31 for a Q0.31 in [-1/4, 0): a Taylor series of fourth order around -1/8."""
    exp_of_minus_one_eighth, one_third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4_over_4 = rounding_shift_right(doubling_high_mul(x2, x2), 2)
    tail = rounding_shift_right(doubling_high_mul(x4_over_4 + x3, one_third) + x2, 1)
    return min(_MAX, exp_of_minus_one_eighth + doubling_high_mul(exp_of_minus_one_eighth, x + tail))


def _half_reciprocal(a: int) -> int:
    """Return 2 / (1 + a) in Q2.29 for a Q0.31 in [0, 1]: Newton-Raphson from 48/17 - 32/17 d."""
    total = a + _MAX
    half_denominator = (total + 1) // 2
    x = 1515870810 + doubling_high_mul(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half_denominator, x)
        x += saturating_shift_left(doubling_high_mul(x, error), 2)
    return x


def logistic(a: int, integer_bits: int) -> int:
    """Return 1 / (1 + exp(-a)) in Q0.31. Source: gemmlowp, logistic."""
    if a == 0:
        return 1 << 30
    positive = saturating_shift_left(_half_reciprocal(exp_of_negative(-abs(a), integer_bits)), 1)
    return positive if a > 0 else _MAX - positive


def tanh(a: int, integer_bits: int) -> int:
    """Return the hyperbolic tangent of a in Q0.31: (1 - exp(-2 a)) / (1 + exp(-2 a)).

    Source: gemmlowp, tanh.
    """
    if a == 0:
        return 0
    x = _half_reciprocal(exp_of_negative(-abs(a), integer_bits + 1))
    positive = saturating_shift_left(x - (1 << 29), 2)
    return positive if a > 0 else -positive


def inverse_sqrt(x: int) -> tuple[int, int]:
    """Return 1 / sqrt(x) of an integer as multiplier (Q0.31) and shift, positive to the left.

    Source: TFLite kernels/internal/common.h, GetInvSqrtQuantizedMultiplierExp: five steps of Newton-Raphson.
    """
    if x <= 1:
        return _MAX, 0
    shift = 11
    while x >= 1 << 29:
        x //= 4
        shift += 1
    pairs = (32 - x.bit_length() - 1) // 2 - 1
    shift -= pairs
    half = rounding_shift_right((x << (2 * pairs)) >> 1, 1)  # Q3.28
    estimate = 1 << 28
    for _ in range(5):
        square = doubling_high_mul(estimate, estimate)
        cube = saturating_shift_left(doubling_high_mul(square, estimate), 6)
        three_halves = doubling_high_mul((1 << 28) + (1 << 27), estimate)
        estimate = saturating_shift_left(three_halves - doubling_high_mul(half, cube), 3)
    result = doubling_high_mul(estimate, 1518500250)  # sqrt(2) / 2
    if shift < 0:
        result <<= -shift
        shift = 0
    return result, -shift
