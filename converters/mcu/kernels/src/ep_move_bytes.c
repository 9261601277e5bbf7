#include <string.h>

#include "ep_kernels.h"

/* Byte by byte only where the two overlap, which memcpy forbids. */
void ep_move_bytes(const ep_span *op, const void *input, void *output) {
  const uint8_t *const from = (const uint8_t *)input + op->input_offset;
  uint8_t *const to = (uint8_t *)output + op->output_offset;
  if (to + op->size <= from || from + op->size <= to) {
    memcpy(to, from, (size_t)op->size);
  } else if (to < from) {
    for (int32_t i = 0; i < op->size; ++i) {
      to[i] = from[i];
    }
  } else {
    for (int32_t i = op->size; i-- > 0;) {
      to[i] = from[i];
    }
  }
}
