#include "ep_kernels.h"

/* Rounds half away from zero; what lies outside the type is clamped. Source: TFLite reference/quantize.h. */
void ep_quantize_f32_s16(const ep_quantize *op, const float *input, int16_t *output) {
  const float limit = 65536.0f; /* beyond every output; keeps the conversion to an integer defined */
  for (int32_t i = 0; i < op->size; ++i) {
    const float ratio = input[i] / op->scale;
    const float held = ratio < -limit ? -limit : (ratio > limit ? limit : ratio);
    const int32_t whole = (int32_t)held;
    const float rest = held - (float)whole;
    const int32_t rounded = whole + (rest >= 0.5f ? 1 : (rest <= -0.5f ? -1 : 0));
    output[i] = (int16_t)ep_clamp(rounded + op->zero_point, INT16_MIN, INT16_MAX);
  }
}
