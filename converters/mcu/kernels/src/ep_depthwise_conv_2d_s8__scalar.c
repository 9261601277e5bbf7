#include "ep_scalar.h"

/* Where each tap's inputs lie, for one output pixel; taps outside the input read a row of zero points. */
static void point(const ep_window *w, const int8_t *input, const int8_t *zeros, int32_t out_y, int32_t out_x,
                  const int8_t **taps) {
  const int32_t left = out_x * w->stride_width - w->padding_left;
  int32_t y = out_y * w->stride_height - w->padding_top;
  for (int32_t ky = 0; ky < w->kernel_height; ++ky, y += w->dilation_height) {
    int32_t x = left;
    for (int32_t kx = 0; kx < w->kernel_width; ++kx, x += w->dilation_width) {
      const int inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
      *taps++ = inside ? input + (y * w->input_width + x) * w->input_channels : zeros;
    }
  }
}

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
      point(w, input, zeros, out_y, out_x, taps);
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
