#include "ep_kernels.h"

/* A function on all of int16 from 513 of its values, with a straight line between two.
 * Source: TFLite kernels/internal/common.h, LUTLookup. */
static int32_t interpolated(const int16_t *table, int32_t x) {
  const int32_t index = 256 + (x >> 7);
  const int32_t delta = (table[index + 1] - table[index]) * (x & 127);
  return table[index] + ((delta + 64) >> 7);
}

static int32_t leading_zeros(uint32_t x) {
  int32_t count = 0;
  for (; count < 32 && !(x & 0x80000000U); x <<= 1) {
    ++count;
  }
  return count;
}

/* Exponentials wait in the output, Q0.15. Source: TFLite reference/softmax.h, SoftmaxInt16. */
void ep_softmax_s16(const ep_softmax_s16_constants *op, const int16_t *input, int16_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->depth, output += op->depth) {
    int32_t largest = INT16_MIN;
    for (int32_t i = 0; i < op->depth; ++i) {
      largest = input[i] > largest ? input[i] : largest;
    }
    int32_t sum = 0; /* Q16.15 */
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t scaled = ep_requantize(input[i] - largest, op->multiplier, op->shift); /* -65535 is -10 */
      output[i] = (int16_t)interpolated(op->exp, ep_clamp(scaled + 32767, INT16_MIN, INT16_MAX));
      sum += output[i];
    }
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t shifted = (int32_t)((((int64_t)sum << (zeros - 1)) + (1 << 13)) >> 14);
    const int32_t fraction = ep_clamp(shifted - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX);
    const int32_t reciprocal = interpolated(op->reciprocal, fraction);
    const int32_t right = 31 - zeros;
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t result = (output[i] * reciprocal + ((int32_t)1 << (right - 1))) >> right;
      output[i] = (int16_t)ep_clamp(result, 0, INT16_MAX);
    }
  }
}
