#include "ep_kernels.h"

/* Source: TFLite reference/mul.h. */
void ep_mul_f32(const ep_binary_f32 *op, const float *input_1, const float *input_2, float *output) {
  EP_FOR_EACH_PAIR(&op->loops, float, input_1, input_2, {
    const float result = x * y;
    const float raised = result < op->activation_min ? op->activation_min : result;
    *output++ = op->activation_max < raised ? op->activation_max : raised;
  })
}
