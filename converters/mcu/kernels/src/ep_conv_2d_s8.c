#include "ep_kernels.h"

/* acc = sum over the taps inside the input of (x + input_offset) * w; outside, x is the zero point and adds
 * nothing. Source: TFLite reference/integer_ops/conv.h, ConvPerChannel. */
void ep_conv_2d_s8(const ep_conv_2d *op, const int8_t *input, int8_t *output) {
  const ep_window *const w = &op->window;
  const int32_t taps = w->kernel_height * w->kernel_width * w->input_channels;
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    const int32_t top = out_y * w->stride_height - w->padding_top;
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x) {
      const int32_t left = out_x * w->stride_width - w->padding_left;
      const int8_t *weights = op->weights;
      for (int32_t channel = 0; channel < w->output_channels; ++channel, weights += taps) {
        int32_t acc = op->channels[channel].bias;
        for (int32_t ky = 0; ky < w->kernel_height; ++ky) {
          const int32_t y = top + ky * w->dilation_height;
          if (y < 0 || y >= w->input_height) {
            continue;
          }
          for (int32_t kx = 0; kx < w->kernel_width; ++kx) {
            const int32_t x = left + kx * w->dilation_width;
            if (x < 0 || x >= w->input_width) {
              continue;
            }
            const int8_t *const pixel = input + (y * w->input_width + x) * w->input_channels;
            const int8_t *const tap = weights + (ky * w->kernel_width + kx) * w->input_channels;
            for (int32_t c = 0; c < w->input_channels; ++c) {
              acc += (pixel[c] + op->input_offset) * tap[c];
            }
          }
        }
        const ep_channel *const q = &op->channels[channel];
        acc = ep_requantize(acc, q->multiplier, q->shift) + op->output_offset;
        *output++ = (int8_t)ep_clamp(acc, op->activation_min, op->activation_max);
      }
    }
  }
}
