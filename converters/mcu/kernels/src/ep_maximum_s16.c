#include "ep_kernels.h"

/* Source: TFLite reference/maximum_minimum.h. */
void ep_maximum_s16(const ep_broadcast *loops, const int16_t *input_1, const int16_t *input_2, int16_t *output) {
  EP_FOR_EACH_PAIR(loops, int32_t, input_1, input_2, {
    *output++ = (int16_t)(x > y ? x : y);
  })
}
