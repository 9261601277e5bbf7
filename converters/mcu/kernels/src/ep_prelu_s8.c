#include "ep_kernels.h"

/* Source: TFLite reference/prelu.h. */
void ep_prelu_s8(const ep_prelu *op, const int8_t *input, const int8_t *slope, int8_t *output) {
  EP_FOR_EACH_PAIR(&op->loops, int32_t, input, slope, {
    const int32_t value = x + op->input_offset;
    const int32_t scaled = value >= 0 ? ep_requantize(value, op->multiplier_above, op->shift_above)
                                      : ep_requantize(value * (y + op->slope_offset), op->multiplier_below, op->shift_below);
    *output++ = (int8_t)ep_clamp(scaled + op->output_offset, INT8_MIN, INT8_MAX);
  })
}
