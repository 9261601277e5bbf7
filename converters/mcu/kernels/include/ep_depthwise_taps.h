/* Where the inputs of a depthwise convolution's taps lie, for one output pixel. */
#ifndef EP_DEPTHWISE_TAPS_H
#define EP_DEPTHWISE_TAPS_H

#include <stdint.h>

#include "ep_kernels.h"

/* Writes a pointer a tap; taps outside the input read `zeros`, a pixel of zero points. */
static inline void ep_find_taps(const ep_window *w, const int8_t *input, const int8_t *zeros, int32_t out_y,
                                int32_t out_x, const int8_t **taps) {
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

#endif /* EP_DEPTHWISE_TAPS_H */
