#include "ep_kernels.h"

/* Both inputs are brought to a common scale with left_shift more bits, subtracted, and brought to the output's.
 * Source: TFLite reference/sub.h. */
void ep_sub_broadcast_s8(const ep_add_broadcast *op, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
  const int32_t unit = (int32_t)1 << op->left_shift;
  EP_FOR_EACH_PAIR(&op->loops, int32_t, input_1, input_2, {
    const int32_t scaled_1 = ep_requantize((x + op->offset_1) * unit, op->multiplier_1, op->shift_1);
    const int32_t scaled_2 = ep_requantize((y + op->offset_2) * unit, op->multiplier_2, op->shift_2);
    const int32_t result = ep_requantize(scaled_1 - scaled_2, op->output_multiplier, op->output_shift);
    *output++ = (int8_t)ep_clamp(result + op->output_offset, op->activation_min, op->activation_max);
  })
}
