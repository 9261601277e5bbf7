#include "ep_kernels.h"

/* Fixed-point formats: Qi.f has i integer and f = 31 - i fractional bits. */
#define DIFF_INTEGER_BITS 5
#define SUM_INTEGER_BITS 12

static int32_t saturating_shift_left(int32_t x, int32_t bits) {
  const int32_t limit = (int32_t)(((uint32_t)1 << (31 - bits)) - 1U);
  return x > limit ? INT32_MAX : (x < -limit ? INT32_MIN : (int32_t)((uint32_t)x << bits));
}

static int32_t saturating_add(int32_t a, int32_t b) {
  const int64_t sum = (int64_t)a + b;
  return sum > INT32_MAX ? INT32_MAX : (sum < INT32_MIN ? INT32_MIN : (int32_t)sum);
}

/* exp(a) for a Q0.31 in [-1/4, 0): a Taylor series of fourth order around -1/8.
 * Source: gemmlowp, exp_on_interval_between_negative_one_quarter_and_0_excl. */
static int32_t exp_of_small(int32_t a) {
  const int32_t exp_of_minus_one_eighth = 1895147668, one_third = 715827883;
  const int32_t x = a + (1 << 28);
  const int32_t x2 = ep_doubling_high_mul(x, x);
  const int32_t x3 = ep_doubling_high_mul(x2, x);
  const int32_t x4_over_4 = ep_rounding_shift_right(ep_doubling_high_mul(x2, x2), 2);
  const int32_t tail = ep_rounding_shift_right(ep_doubling_high_mul(x4_over_4 + x3, one_third) + x2, 1);
  return saturating_add(exp_of_minus_one_eighth, ep_doubling_high_mul(exp_of_minus_one_eighth, x + tail));
}

/* exp(a) in Q0.31 for a Q5.26 <= 0: the fraction of a quarter by series, each further bit by one product.
 * Source: gemmlowp, exp_on_negative_values. */
static int32_t exp_of_negative(int32_t a) {
  static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << (31 - DIFF_INTEGER_BITS - 2);
  const int32_t fraction = (a & (quarter - 1)) - quarter;
  const int32_t remainder = fraction - a;
  int32_t result = exp_of_small(saturating_shift_left(fraction, DIFF_INTEGER_BITS));
  for (int32_t bit = 0; bit < 7; ++bit) {
    if (remainder & (quarter << bit)) {
      result = ep_doubling_high_mul(result, factors[bit]);
    }
  }
  return a == 0 ? INT32_MAX : result;
}

/* 1 / (1 + a) in Q0.31 for a Q0.31 in [0, 1): Newton-Raphson from 48/17 - 32/17 d.
 * Source: gemmlowp, one_over_one_plus_x_for_x_in_0_1. */
static int32_t reciprocal_of_one_plus(int32_t a) {
  const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
  int32_t x = 1515870810 + ep_doubling_high_mul(half_denominator, -1010580540); /* Q2.29 */
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - ep_doubling_high_mul(half_denominator, x);
    x += saturating_shift_left(ep_doubling_high_mul(x, error), 2);
  }
  return saturating_shift_left(x, 1);
}

static int32_t leading_zeros(uint32_t x) {
  int32_t count = 0;
  while (count < 32 && !(x & 0x80000000U)) {
    x <<= 1;
    ++count;
  }
  return count;
}

static int32_t scaled(const ep_softmax *op, int32_t diff) {
  return ep_doubling_high_mul((int32_t)((uint32_t)diff << op->left_shift), op->multiplier);
}

/* Source: TFLite reference/softmax.h, Softmax for integers. */
void ep_softmax_s8(const ep_softmax *op, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->depth, output += op->depth) {
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < op->depth; ++i) {
      largest = input[i] > largest ? input[i] : largest;
    }
    int32_t sum = 0; /* Q12.19 */
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t diff = input[i] - largest;
      if (diff >= op->diff_min) {
        sum += ep_rounding_shift_right(exp_of_negative(scaled(op, diff)), SUM_INTEGER_BITS);
      }
    }
    const int32_t headroom = leading_zeros((uint32_t)sum);
    const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - 0x80000000U);
    const int32_t scale = reciprocal_of_one_plus(fraction);
    const int32_t shift = SUM_INTEGER_BITS - headroom + 31 - 8;
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t diff = input[i] - largest;
      int32_t value = INT8_MIN;
      if (diff >= op->diff_min) {
        const int32_t product = ep_doubling_high_mul(scale, exp_of_negative(scaled(op, diff)));
        value = ep_clamp(ep_rounding_shift_right(product, shift) + INT8_MIN, INT8_MIN, INT8_MAX);
      }
      output[i] = (int8_t)value;
    }
  }
}
