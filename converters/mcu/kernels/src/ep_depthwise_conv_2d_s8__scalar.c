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

void ep_depthwise_conv_2d_s8__scalar(const ep_depthwise_fours *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t channels = w->output_channels;
  const int8_t **const taps = (const int8_t **)scratch;
  const int8_t **const end = taps + w->kernel_height * w->kernel_width;
  int8_t *const zeros = (int8_t *)end;
  for (int32_t i = 0; i < channels; ++i) {
    zeros[i] = (int8_t)op->zero_point;
  }
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x, output += channels) {
      const int8_t *weights = op->weights;
      const ep_channel_right *q = op->channels;
      point(w, input, zeros, out_y, out_x, taps);
      for (int32_t channel = 0; channel < channels; channel += 4, q += 4) {
        int32_t acc_0 = 0, acc_1 = 0, acc_2 = 0, acc_3 = 0;
        const int8_t **tap = taps;
        do {
          const int8_t *const x = *tap++ + channel;
          acc_0 += weights[0] * x[0];
          acc_1 += weights[1] * x[1];
          acc_2 += weights[2] * x[2];
          acc_3 += weights[3] * x[3];
          weights += 4;
        } while (tap != end);
        output[channel] = ep_finish_channel(acc_0, &q[0]);
        output[channel + 1] = ep_finish_channel(acc_1, &q[1]);
        output[channel + 2] = ep_finish_channel(acc_2, &q[2]);
        output[channel + 3] = ep_finish_channel(acc_3, &q[3]);
      }
      ep_bound(output, channels, op->activation_min, op->activation_max);
    }
  }
}
