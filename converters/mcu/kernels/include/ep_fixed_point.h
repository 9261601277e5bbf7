/* Fixed-point arithmetic of TFLite's integer kernels, bit for bit.
 *
 * Source: gemmlowp fixedpoint/fixedpoint.h and TFLite kernels/internal/common.h, with double rounding (the
 * default; TFLITE_SINGLE_ROUNDING changes results). README.md, "Rounding".
 */
#ifndef EP_FIXED_POINT_H
#define EP_FIXED_POINT_H

#include <stdint.h>

/* What turns an accumulator of one output channel into an output: bias first, then multiplier and shift. */
typedef struct {
  int32_t bias;
  int32_t multiplier; /* Q0.31, in [2^30, 2^31), or 0 */
  int32_t shift;      /* > 0 is to the left */
} ep_channel;

static inline int32_t ep_clamp(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : (x > high ? high : x);
}

/* round(a * b / 2^31), ties away from zero; saturates where both are INT32_MIN. */
static inline int32_t ep_doubling_high_mul(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) {
    return INT32_MAX;
  }
  const int64_t product = (int64_t)a * (int64_t)b;
  const int64_t nudge = product >= 0 ? ((int64_t)1 << 30) : 1 - ((int64_t)1 << 30);
  return (int32_t)((product + nudge) / ((int64_t)1 << 31));
}

/* round(x / 2^exponent), ties away from zero; 0 <= exponent <= 31. */
static inline int32_t ep_rounding_shift_right(int32_t x, int32_t exponent) {
  const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1U);
  const int32_t remainder = x & mask;
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* x * multiplier * 2^(shift - 31), rounded twice as TFLite does. */
static inline int32_t ep_requantize(int32_t x, int32_t multiplier, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t right = shift > 0 ? 0 : -shift;
  return ep_rounding_shift_right(ep_doubling_high_mul((int32_t)((uint32_t)x << left), multiplier), right);
}

#endif /* EP_FIXED_POINT_H */
