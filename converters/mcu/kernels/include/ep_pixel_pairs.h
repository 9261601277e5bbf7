/* The inputs of two output pixels of a convolution side by side in words, so that one product serves both. */
#ifndef EP_PIXEL_PAIRS_H
#define EP_PIXEL_PAIRS_H

#include <stdint.h>

#include "ep_kernels.h"

/* Where a tap's inputs lie; outside the input lies the zero point. */
static inline const int8_t *ep_tap(const ep_window *w, const int8_t *input, const int8_t *zeros, int32_t y, int32_t x) {
  const int inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
  return inside ? input + (y * w->input_width + x) * w->input_channels : zeros;
}

/* Whether a row of the kernel lies in the input as one run. */
static inline int ep_is_run(const ep_window *w, int32_t y, int32_t left) {
  return y >= 0 && y < w->input_height && left >= 0 && left + w->kernel_width <= w->input_width;
}

/* Writes x1 + 2^shift x2 for each input of the pixels, in the order of the weights, to every step-th word. */
static inline void ep_load_pair(const ep_window *w, const int8_t *input, const int8_t *zeros, int32_t pixel_1,
                                int32_t pixel_2, int32_t shift, int32_t step, uint32_t *words) {
  const int32_t left_1 = (pixel_1 % w->output_width) * w->stride_width - w->padding_left;
  const int32_t left_2 = (pixel_2 % w->output_width) * w->stride_width - w->padding_left;
  int32_t y_1 = (pixel_1 / w->output_width) * w->stride_height - w->padding_top;
  int32_t y_2 = (pixel_2 / w->output_width) * w->stride_height - w->padding_top;
  for (int32_t ky = 0; ky < w->kernel_height; ++ky, y_1 += w->dilation_height, y_2 += w->dilation_height) {
    const int run = w->dilation_width == 1 && ep_is_run(w, y_1, left_1) && ep_is_run(w, y_2, left_2);
    const int32_t taps = run ? 1 : w->kernel_width;
    const int32_t count = (run ? w->kernel_width : 1) * w->input_channels;
    for (int32_t kx = 0; kx < taps; ++kx) {
      const int8_t *first = ep_tap(w, input, zeros, y_1, left_1 + kx * w->dilation_width);
      const int8_t *second = ep_tap(w, input, zeros, y_2, left_2 + kx * w->dilation_width);
      for (int32_t i = 0; i < count; ++i, words += step) {
        *words = (uint32_t)*first++ + ((uint32_t)*second++ << shift);
      }
    }
  }
}

#endif /* EP_PIXEL_PAIRS_H */
