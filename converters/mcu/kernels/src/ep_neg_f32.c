#include "ep_kernels.h"

/* Source: TFLite reference/neg.h. */
void ep_neg_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = -x;
  }
}
