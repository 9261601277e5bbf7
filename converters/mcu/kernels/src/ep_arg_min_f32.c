#include "ep_kernels.h"

/* Of equal elements, the first. Source: TFLite reference/arg_min_max.h. */
void ep_arg_min_f32(const ep_arg_max *op, const float *input, int32_t *output) {
  for (int32_t outer = 0; outer < op->outer; ++outer, input += op->size * op->inner) {
    for (int32_t inner = 0; inner < op->inner; ++inner) {
      int32_t best = 0;
      for (int32_t i = 1; i < op->size; ++i) {
        best = input[i * op->inner + inner] < input[best * op->inner + inner] ? i : best;
      }
      *output++ = best;
    }
  }
}
