#include "ep_kernels.h"

/* Source: TFLite micro/kernels/logical.cc. */
void ep_logical_and(const ep_broadcast *loops, const uint8_t *input_1, const uint8_t *input_2, uint8_t *output) {
  EP_FOR_EACH_PAIR(loops, int32_t, input_1, input_2, {
    *output++ = x && y;
  })
}
