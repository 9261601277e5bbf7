#include "ep_depthwise_taps.h"
#include "ep_scalar.h"

void ep_depthwise_conv_2d_s8__scalar(const ep_depthwise_threes *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t channels = w->output_channels;
  const int8_t **const taps = (const int8_t **)scratch;
  const int8_t **const end = taps + op->taps;
  int8_t *const zeros = (int8_t *)end;
  for (int32_t i = 0; i < channels; ++i) {
    zeros[i] = (int8_t)op->zero_point;
  }
  for (int32_t tap = w->kernel_height * w->kernel_width; tap < op->taps; ++tap) {
    taps[tap] = zeros; /* its weights are 0 */
  }
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x, output += channels) {
      const int8_t *weights = op->weights;
      const ep_channel_right *q = op->channels;
      ep_find_taps(w, input, zeros, out_y, out_x, taps);
      for (int32_t channel = 0; channel < channels; ++channel, ++q) {
        const int8_t *const *tap = taps;
        int32_t acc = 0;
        do {
          acc += weights[0] * tap[0][channel];
          acc += weights[1] * tap[1][channel];
          acc += weights[2] * tap[2][channel];
          weights += 3;
          tap += 3;
        } while (tap != end);
        output[channel] = ep_finish_channel(acc, q);
      }
      ep_bound(output, channels, op->activation_min, op->activation_max);
    }
  }
}
