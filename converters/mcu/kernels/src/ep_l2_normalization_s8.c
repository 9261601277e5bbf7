#include "ep_kernels.h"

static int32_t saturating_shift_left(int32_t x, int32_t bits) {
  const int32_t limit = (int32_t)(((uint32_t)1 << (31 - bits)) - 1U);
  return x > limit ? INT32_MAX : (x < -limit ? INT32_MIN : (int32_t)((uint32_t)x << bits));
}

/* 1 / sqrt(x) as multiplier (Q0.31) and shift, positive to the left: five steps of Newton-Raphson in Q3.28.
 * Source: TFLite kernels/internal/common.h, GetInvSqrtQuantizedMultiplierExp. */
static int32_t inverse_sqrt(int32_t x, int32_t *shift) {
  int32_t right = 11;
  *shift = 0;
  if (x <= 1) {
    return INT32_MAX;
  }
  for (; x >= ((int32_t)1 << 29); x /= 4) {
    ++right;
  }
  for (; x < ((int32_t)1 << 27); x *= 4) { /* until its leading bit is 27 or 28 */
    --right;
  }
  const int32_t half = ep_rounding_shift_right(x >> 1, 1);
  int32_t estimate = (int32_t)1 << 28;
  for (int32_t i = 0; i < 5; ++i) {
    const int32_t square = ep_doubling_high_mul(estimate, estimate);
    const int32_t cube = saturating_shift_left(ep_doubling_high_mul(square, estimate), 6);
    const int32_t three_halves = ep_doubling_high_mul((1 << 28) + (1 << 27), estimate);
    estimate = saturating_shift_left(three_halves - ep_doubling_high_mul(half, cube), 3);
  }
  const int32_t sqrt_half = 1518500250;
  const int32_t result = ep_doubling_high_mul(estimate, sqrt_half);
  *shift = right < 0 ? 0 : -right;
  return right < 0 ? (int32_t)((uint32_t)result << -right) : result;
}

/* The output is in units of 1/128. Source: TFLite reference/integer_ops/l2normalization.h. */
void ep_l2_normalization_s8(const ep_l2_normalization *op, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->depth, output += op->depth) {
    int32_t sum = 0, shift;
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t value = input[i] + op->input_offset;
      sum += value * value;
    }
    const int32_t multiplier = inverse_sqrt(sum, &shift);
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t scaled = ep_requantize(input[i] + op->input_offset, multiplier, shift + 7);
      output[i] = (int8_t)ep_clamp(scaled, INT8_MIN, INT8_MAX);
    }
  }
}
