#include "ep_kernels.h"

/* Source: TFLite reference/comparisons.h. */
void ep_compare_u8(const ep_compare *op, const uint8_t *input_1, const uint8_t *input_2, uint8_t *output) {
  EP_FOR_EACH_PAIR(&op->loops, int32_t, input_1, input_2, {
    const int32_t order = x < y ? EP_LESS : (x > y ? EP_GREATER : EP_EQUAL);
    *output++ = (op->relation & order) != 0;
  })
}
