#include "ep_kernels.h"

/* Source: TFLite micro/kernels/elementwise.cc. */
void ep_abs_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = x < 0.0f ? -x : (x == 0.0f ? 0.0f : x);
  }
}
