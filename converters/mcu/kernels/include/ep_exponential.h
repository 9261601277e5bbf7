/* exp(x) and 1 / (1 + x) in fixed point, for SOFTMAX. Source: gemmlowp fixedpoint/fixedpoint.h. */
#ifndef EP_EXPONENTIAL_H
#define EP_EXPONENTIAL_H

#include "ep_kernels.h"

/* Fixed-point formats: Qi.f has i integer and f = 31 - i fractional bits. */
#define EP_DIFF_INTEGER_BITS 5
#define EP_SUM_INTEGER_BITS 12

static inline int32_t ep_saturating_shift_left(int32_t x, int32_t bits) {
  const int32_t limit = (int32_t)(((uint32_t)1 << (31 - bits)) - 1U);
  return x > limit ? INT32_MAX : (x < -limit ? INT32_MIN : (int32_t)((uint32_t)x << bits));
}

static inline int32_t ep_saturating_add(int32_t a, int32_t b) {
  const int64_t sum = (int64_t)a + b;
  return sum > INT32_MAX ? INT32_MAX : (sum < INT32_MIN ? INT32_MIN : (int32_t)sum);
}

/* exp(a) for a Q0.31 in [-1/4, 0): a Taylor series of fourth order around -1/8.
 * Source: gemmlowp, exp_on_interval_between_negative_one_quarter_and_0_excl. */
static inline int32_t ep_exp_of_small(int32_t a) {
  const int32_t exp_of_minus_one_eighth = 1895147668, one_third = 715827883;
  const int32_t x = a + (1 << 28);
  const int32_t x2 = ep_doubling_high_mul(x, x);
  const int32_t x3 = ep_doubling_high_mul(x2, x);
  const int32_t x4_over_4 = ep_rounding_shift_right(ep_doubling_high_mul(x2, x2), 2);
  const int32_t tail = ep_rounding_shift_right(ep_doubling_high_mul(x4_over_4 + x3, one_third) + x2, 1);
  return ep_saturating_add(exp_of_minus_one_eighth, ep_doubling_high_mul(exp_of_minus_one_eighth, x + tail));
}

/* exp(a) in Q0.31 for a Q5.26 <= 0: the fraction of a quarter by series, each further bit by one product.
 * Source: gemmlowp, exp_on_negative_values. */
static inline int32_t ep_exp_of_negative(int32_t a) {
  static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << (31 - EP_DIFF_INTEGER_BITS - 2);
  const int32_t fraction = (a & (quarter - 1)) - quarter;
  const int32_t remainder = fraction - a;
  int32_t result = ep_exp_of_small(ep_saturating_shift_left(fraction, EP_DIFF_INTEGER_BITS));
  for (int32_t bit = 0; bit < 7; ++bit) {
    if (remainder & (quarter << bit)) {
      result = ep_doubling_high_mul(result, factors[bit]);
    }
  }
  return a == 0 ? INT32_MAX : result;
}

/* 1 / (1 + a) in Q0.31 for a Q0.31 in [0, 1): Newton-Raphson from 48/17 - 32/17 d.
 * Source: gemmlowp, one_over_one_plus_x_for_x_in_0_1. */
static inline int32_t ep_reciprocal_of_one_plus(int32_t a) {
  const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
  int32_t x = 1515870810 + ep_doubling_high_mul(half_denominator, -1010580540); /* Q2.29 */
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - ep_doubling_high_mul(half_denominator, x);
    x += ep_saturating_shift_left(ep_doubling_high_mul(x, error), 2);
  }
  return ep_saturating_shift_left(x, 1);
}

static inline int32_t ep_leading_zeros(uint32_t x) {
  int32_t count = 0;
  while (count < 32 && !(x & 0x80000000U)) {
    x <<= 1;
    ++count;
  }
  return count;
}

static inline int32_t ep_scaled_difference(const ep_softmax *op, int32_t diff) {
  return ep_doubling_high_mul((int32_t)((uint32_t)diff << op->left_shift), op->multiplier);
}

#endif /* EP_EXPONENTIAL_H */
