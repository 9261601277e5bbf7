#include "ep_kernels.h"

/* Source: TFLite reference/reduce.h, Mean. */
void ep_sum_f32(const ep_sum_f32_constants *op, const float *input, float *output) {
  for (int32_t k0 = 0; k0 < op->kept_0; ++k0) {
    for (int32_t k1 = 0; k1 < op->kept_1; ++k1) {
      for (int32_t k2 = 0; k2 < op->kept_2; ++k2) {
        float sum = 0.0f;
        for (int32_t r0 = 0; r0 < op->reduced_0; ++r0) {
          const int32_t row = ((k0 * op->reduced_0 + r0) * op->kept_1 + k1) * op->reduced_1;
          for (int32_t r1 = 0; r1 < op->reduced_1; ++r1) {
            sum += input[(row + r1) * op->kept_2 + k2];
          }
        }
        *output++ = sum / op->divisor;
      }
    }
  }
}
