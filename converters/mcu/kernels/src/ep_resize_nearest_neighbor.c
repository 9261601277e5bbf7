#include <string.h>

#include "ep_kernels.h"

/* Source: TFLite reference/resize_nearest_neighbor.h; which element is nearest, the compiler has worked out. */
void ep_resize_nearest_neighbor(const ep_resize_nearest *op, const void *input, void *output) {
  const int32_t row_bytes = op->input_width * op->depth_bytes;
  const uint8_t *image = (const uint8_t *)input;
  uint8_t *to = (uint8_t *)output;
  for (int32_t batch = 0; batch < op->batches; ++batch, image += op->input_height * row_bytes) {
    for (int32_t y = 0; y < op->output_height; ++y) {
      const uint8_t *const row = image + op->rows[y] * row_bytes;
      for (int32_t x = 0; x < op->output_width; ++x, to += op->depth_bytes) {
        memcpy(to, row + op->columns[x] * op->depth_bytes, (size_t)op->depth_bytes);
      }
    }
  }
}
