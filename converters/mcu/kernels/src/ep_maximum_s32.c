#include "ep_kernels.h"

/* Source: TFLite reference/maximum_minimum.h. */
void ep_maximum_s32(const ep_broadcast *loops, const int32_t *input_1, const int32_t *input_2, int32_t *output) {
  EP_FOR_EACH_PAIR(loops, int32_t, input_1, input_2, {
    *output++ = (x > y ? x : y);
  })
}
