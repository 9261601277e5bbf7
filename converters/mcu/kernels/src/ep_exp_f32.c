#include "ep_kernels.h"
#include "ep_math.h"

/* Source: TFLite reference/exp.h. */
void ep_exp_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = expf(x);
  }
}
