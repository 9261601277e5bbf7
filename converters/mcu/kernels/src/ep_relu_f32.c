#include "ep_kernels.h"

/* RELU and its kin. Source: TFLite micro/kernels/activations_common.cc. */
void ep_relu_f32(const ep_real *op, const float *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const float x = input[i];
    output[i] = x < op->low ? op->low : (x > op->high ? op->high : x);
  }
}
