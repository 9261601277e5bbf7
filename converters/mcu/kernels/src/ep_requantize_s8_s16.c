#include "ep_kernels.h"

/* Source: TFLite reference/requantize.h. */
void ep_requantize_s8_s16(const ep_rescale *op, const int8_t *input, int16_t *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const int32_t scaled = ep_requantize(input[i] + op->input_offset, op->multiplier, op->shift);
    output[i] = (int16_t)ep_clamp(scaled + op->output_offset, INT16_MIN, INT16_MAX);
  }
}
