#include "ep_kernels.h"

/* Source: TFLite reference/dequantize.h. */
void ep_dequantize_u8_f32(const ep_quantize *op, const uint8_t *input, float *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    output[i] = op->scale * (float)(input[i] - op->zero_point);
  }
}
