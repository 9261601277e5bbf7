#include "ep_kernels.h"
#include "ep_math.h"

/* Source: TFLite reference/softmax.h. */
void ep_softmax_f32(const ep_softmax_real *op, const float *input, float *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->depth, output += op->depth) {
    float largest = input[0];
    for (int32_t i = 1; i < op->depth; ++i) {
      largest = input[i] > largest ? input[i] : largest;
    }
    float sum = 0.0f;
    for (int32_t i = 0; i < op->depth; ++i) {
      output[i] = expf((input[i] - largest) * op->beta);
      sum += output[i];
    }
    for (int32_t i = 0; i < op->depth; ++i) {
      output[i] /= sum;
    }
  }
}
