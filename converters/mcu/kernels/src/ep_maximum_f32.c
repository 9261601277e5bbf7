#include "ep_kernels.h"

/* Source: TFLite reference/maximum_minimum.h. */
void ep_maximum_f32(const ep_broadcast *loops, const float *input_1, const float *input_2, float *output) {
  EP_FOR_EACH_PAIR(loops, float, input_1, input_2, {
    *output++ = (x > y ? x : y);
  })
}
