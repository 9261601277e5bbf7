#include "ep_kernels.h"
#include "ep_math.h"

/* Source: TFLite reference/elu.h. */
void ep_elu_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = x < 0.0f ? expm1f(x) : x;
  }
}
