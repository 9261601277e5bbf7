#include "ep_kernels.h"

/* MEAN is a sum whose factor holds the division. Source: TFLite reference/reduce.h, QuantizedMeanOrSum. */
void ep_sum_s8(const ep_sum *op, const int8_t *input, int8_t *output) {
  for (int32_t k0 = 0; k0 < op->kept_0; ++k0) {
    for (int32_t k1 = 0; k1 < op->kept_1; ++k1) {
      for (int32_t k2 = 0; k2 < op->kept_2; ++k2) {
        int32_t sum = op->input_offset;
        for (int32_t r0 = 0; r0 < op->reduced_0; ++r0) {
          const int32_t row = ((k0 * op->reduced_0 + r0) * op->kept_1 + k1) * op->reduced_1;
          for (int32_t r1 = 0; r1 < op->reduced_1; ++r1) {
            sum += input[(row + r1) * op->kept_2 + k2];
          }
        }
        const int32_t result = ep_requantize(sum, op->multiplier, op->shift) + op->output_offset;
        *output++ = (int8_t)ep_clamp(result, INT8_MIN, INT8_MAX);
      }
    }
  }
}
