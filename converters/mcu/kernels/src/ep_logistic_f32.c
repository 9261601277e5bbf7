#include "ep_kernels.h"
#include "ep_math.h"

/* Beyond the bounds, float32 cannot tell the result from 1 or exp(x). Source: TFLite reference/logistic.h. */
void ep_logistic_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = x > 16.619047164916992188f ? 1.0f : (x < -9.0f ? expf(x) : 1.0f / (1.0f + expf(-x)));
  }
}
