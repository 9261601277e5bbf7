#include "ep_kernels.h"

/* Source: TFLite reference/hard_swish.h. */
void ep_hard_swish_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    const float raised = x + 3.0f < 0.0f ? 0.0f : x + 3.0f;
    output[i] = x * (raised > 6.0f ? 6.0f : raised) / 6.0f;
  }
}
