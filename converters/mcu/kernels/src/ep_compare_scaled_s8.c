#include "ep_kernels.h"

/* Each input is brought to units of 2^-left_shift. Source: TFLite reference/comparisons.h, ComparisonWithScaling. */
void ep_compare_scaled_s8(const ep_compare_scaled *op, const int8_t *input_1, const int8_t *input_2, uint8_t *output) {
  const int32_t unit = (int32_t)1 << op->left_shift;
  EP_FOR_EACH_PAIR(&op->loops, int32_t, input_1, input_2, {
    const int32_t scaled_1 = ep_requantize((x + op->offset_1) * unit, op->multiplier_1, op->shift_1);
    const int32_t scaled_2 = ep_requantize((y + op->offset_2) * unit, op->multiplier_2, op->shift_2);
    const int32_t order = scaled_1 < scaled_2 ? EP_LESS : (scaled_1 > scaled_2 ? EP_GREATER : EP_EQUAL);
    *output++ = (op->relation & order) != 0;
  })
}
