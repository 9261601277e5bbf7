#include "ep_kernels.h"

/* RELU has its bounds in low and high and one factor; LEAKY_RELU another below zero, negated where `negate` is 1.
 * Source: TFLite micro/kernels/activations.cc, reference/leaky_relu.h. */
void ep_leaky_relu_s16(const ep_leaky_relu *op, const int16_t *input, int16_t *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const int32_t x = input[i];
    int32_t result;
    if (x >= 0) {
      result = ep_requantize(x, op->multiplier_above, op->shift_above);
    } else {
      result = ep_requantize(x, op->multiplier_below, op->shift_below);
      result = op->negate ? -result : result;
    }
    output[i] = (int16_t)ep_clamp(result, op->low, op->high);
  }
}
