#include "ep_kernels.h"

/* Not quantized; wraps where it overflows. Source: TFLite reference/add.h. */
void ep_add_s32(const ep_binary_s32 *op, const int32_t *input_1, const int32_t *input_2, int32_t *output) {
  EP_FOR_EACH_PAIR(&op->loops, int32_t, input_1, input_2, {
    const int32_t result = (int32_t)((uint32_t)x + (uint32_t)y);
    *output++ = ep_clamp(result, op->activation_min, op->activation_max);
  })
}
