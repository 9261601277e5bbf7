#include "ep_kernels.h"
#include "ep_math.h"

/* Source: TFLite reference/l2normalization.h. */
void ep_l2_normalization_f32(const ep_l2_normalization *op, const float *input, float *output) {
  const float smallest = 1e-6f;
  for (int32_t row = 0; row < op->rows; ++row, input += op->depth, output += op->depth) {
    float sum = 0.0f;
    for (int32_t i = 0; i < op->depth; ++i) {
      sum += input[i] * input[i];
    }
    const float norm = sqrtf(sum);
    for (int32_t i = 0; i < op->depth; ++i) {
      output[i] = input[i] / (norm < smallest ? smallest : norm);
    }
  }
}
