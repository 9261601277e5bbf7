#include "ep_kernels.h"

/* Source: TFLite micro/kernels/prelu_common.cc. */
void ep_prelu_f32(const ep_broadcast *loops, const float *input, const float *slope, float *output) {
  EP_FOR_EACH_PAIR(loops, float, input, slope, {
    *output++ = x >= 0.0f ? x : x * y;
  })
}
