#include "ep_kernels.h"

/* Source: TFLite reference/integer_ops/mul.h. */
void ep_mul_s16(const ep_mul *op, const int16_t *input_1, const int16_t *input_2, int16_t *output) {
  EP_FOR_EACH_PAIR(&op->loops, int32_t, input_1, input_2, {
    const int32_t product = (x + op->offset_1) * (y + op->offset_2);
    const int32_t result = ep_requantize(product, op->output_multiplier, op->output_shift) + op->output_offset;
    *output++ = (int16_t)ep_clamp(result, op->activation_min, op->activation_max);
  })
}
