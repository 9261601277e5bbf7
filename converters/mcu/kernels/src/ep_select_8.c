#include "ep_kernels.h"

/* Elements of 8 bits, whatever they mean. Source: TFLite reference/select.h. */
void ep_select_8(const ep_select *op, const uint8_t *condition, const void *input_1, const void *input_2, void *output) {
  const uint8_t *const first = (const uint8_t *)input_1;
  const uint8_t *const second = (const uint8_t *)input_2;
  uint8_t *to = (uint8_t *)output;
  for (int32_t i0 = 0; i0 < op->loops.size_0; ++i0) {
    for (int32_t i1 = 0; i1 < op->loops.size_1; ++i1) {
      for (int32_t i2 = 0; i2 < op->loops.size_2; ++i2) {
        int32_t at = i0 * op->condition_0 + i1 * op->condition_1 + i2 * op->condition_2;
        int32_t at_1 = i0 * op->loops.first_0 + i1 * op->loops.first_1 + i2 * op->loops.first_2;
        int32_t at_2 = i0 * op->loops.second_0 + i1 * op->loops.second_1 + i2 * op->loops.second_2;
        for (int32_t i3 = 0; i3 < op->loops.size_3; ++i3) {
          *to++ = condition[at] ? first[at_1] : second[at_2];
          at += op->condition_3;
          at_1 += op->loops.first_3;
          at_2 += op->loops.second_3;
        }
      }
    }
  }
}
