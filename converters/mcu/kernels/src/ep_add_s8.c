#include "ep_kernels.h"

/* Both inputs are brought to a common scale with left_shift more bits, added, and brought to the output's.
 * Source: TFLite reference/integer_ops/add.h, AddElementwise. */
void ep_add_s8(const ep_add *op, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    const int32_t shifted_1 = (input_1[i] + op->offset_1) * ((int32_t)1 << op->left_shift);
    const int32_t shifted_2 = (input_2[i] + op->offset_2) * ((int32_t)1 << op->left_shift);
    const int32_t sum = ep_requantize(shifted_1, op->multiplier_1, op->shift_1) +
                        ep_requantize(shifted_2, op->multiplier_2, op->shift_2);
    const int32_t result = ep_requantize(sum, op->output_multiplier, op->output_shift) + op->output_offset;
    output[i] = (int8_t)ep_clamp(result, op->activation_min, op->activation_max);
  }
}
