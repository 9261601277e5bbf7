#include "ep_kernels.h"

/* Source: TFLite reference/integer_ops/fully_connected.h. */
void ep_fully_connected_s8(const ep_fully_connected *op, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->input_size) {
    const int8_t *weights = op->weights;
    for (int32_t channel = 0; channel < op->output_size; ++channel, weights += op->input_size) {
      const ep_channel *const q = &op->channels[channel];
      int32_t acc = q->bias;
      for (int32_t i = 0; i < op->input_size; ++i) {
        acc += (input[i] + op->input_offset) * weights[i];
      }
      acc = ep_requantize(acc, q->multiplier, q->shift) + op->output_offset;
      *output++ = (int8_t)ep_clamp(acc, op->activation_min, op->activation_max);
    }
  }
}
