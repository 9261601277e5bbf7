#include "ep_dsp.h"

/* Two taps of four channels: the inputs as pairs of taps, one pair a channel, in the order 0, 2, 1, 3. */
#define TWO_TAPS(a, b, w)                                                             \
  do {                                                                                \
    const uint32_t even_a = ep_sxtb16(a), odd_a = ep_sxtb16_ror8(a);                  \
    const uint32_t even_b = ep_sxtb16(b), odd_b = ep_sxtb16_ror8(b);                  \
    acc_0 = ep_smlad(ep_bottoms(even_a, even_b), (w)[0], acc_0);                      \
    acc_2 = ep_smlad(ep_tops(even_a, even_b), (w)[1], acc_2);                         \
    acc_1 = ep_smlad(ep_bottoms(odd_a, odd_b), (w)[2], acc_1);                        \
    acc_3 = ep_smlad(ep_tops(odd_a, odd_b), (w)[3], acc_3);                           \
  } while (0)

static inline uint32_t ep_bottoms(uint32_t a, uint32_t b) {
  uint32_t pair;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
  return pair;
}

static inline uint32_t ep_tops(uint32_t a, uint32_t b) {
  uint32_t pair;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(b), "r"(a));
  return pair;
}

static inline uint32_t load(const int8_t *from) {
  uint32_t four;
  memcpy(&four, from, 4);
  return four;
}

/* Where each tap's inputs lie, for one output pixel; taps outside the input read a row of zero points. */
static void point(const ep_depthwise_packed *op, const int8_t *input, const int8_t *zeros, int32_t out_y, int32_t out_x,
                  const int8_t **taps) {
  const ep_window *const w = &op->window;
  const int32_t top = out_y * w->stride_height - w->padding_top;
  const int32_t left = out_x * w->stride_width - w->padding_left;
  for (int32_t ky = 0; ky < w->kernel_height; ++ky) {
    const int32_t y = top + ky * w->dilation_height;
    for (int32_t kx = 0; kx < w->kernel_width; ++kx) {
      const int32_t x = left + kx * w->dilation_width;
      const int inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
      *taps++ = inside ? input + (y * w->input_width + x) * w->input_channels : zeros;
    }
  }
  if ((w->kernel_height * w->kernel_width) & 1) {
    *taps = zeros; /* its weights are 0 */
  }
}

void ep_depthwise_conv_2d_s8__dsp(const ep_depthwise_packed *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t channels = w->output_channels, pairs = op->pairs;
  const int32_t offset = op->output_offset, low = op->activation_min;
  const int8_t **const taps = (const int8_t **)scratch;
  int8_t *const zeros = (int8_t *)(taps + 2 * pairs);
  ep_fill(zeros, (int8_t)op->zero_point, channels);
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x) {
      const uint32_t *weights = op->weights;
      const ep_channel_right *q = op->channels;
      point(op, input, zeros, out_y, out_x, taps);
      for (int32_t channel = 0; channel < channels; channel += 4, q += 4, output += 4) {
        int32_t acc_0 = 0, acc_1 = 0, acc_2 = 0, acc_3 = 0;
        const int8_t *const *tap = taps;
        for (int32_t pair = 0; pair < pairs; ++pair, tap += 2, weights += 4) {
          const uint32_t a = load(tap[0] + channel), b = load(tap[1] + channel);
          TWO_TAPS(a, b, weights);
        }
        output[0] = ep_finish(acc_0, &q[0], offset, low);
        output[1] = ep_finish(acc_1, &q[1], offset, low);
        output[2] = ep_finish(acc_2, &q[2], offset, low);
        output[3] = ep_finish(acc_3, &q[3], offset, low);
      }
    }
  }
}
