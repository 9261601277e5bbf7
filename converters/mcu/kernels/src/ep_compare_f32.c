#include "ep_kernels.h"

/* Numbers that are not ordered (a NaN) are unequal. Source: TFLite reference/comparisons.h. */
void ep_compare_f32(const ep_compare *op, const float *input_1, const float *input_2, uint8_t *output) {
  EP_FOR_EACH_PAIR(&op->loops, float, input_1, input_2, {
    const int32_t order = x < y ? EP_LESS : (x > y ? EP_GREATER : (x == y ? EP_EQUAL : EP_UNORDERED));
    *output++ = (op->relation & order) != 0;
  })
}
