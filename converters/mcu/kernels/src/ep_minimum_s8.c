#include "ep_kernels.h"

/* Source: TFLite reference/maximum_minimum.h. */
void ep_minimum_s8(const ep_broadcast *loops, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
  EP_FOR_EACH_PAIR(loops, int32_t, input_1, input_2, {
    *output++ = (int8_t)(x < y ? x : y);
  })
}
