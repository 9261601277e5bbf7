#include "ep_kernels.h"

/* The slope is op->low. Source: TFLite reference/leaky_relu.h. */
void ep_leaky_relu_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = x > 0.0f ? x : x * op->low;
  }
}
