#include <string.h>

#include "ep_kernels.h"

void ep_fill_elements(const ep_constant_fill *op, void *output) {
  uint8_t *to = (uint8_t *)output;
  if (op->element_bytes == 1) {
    memset(to, op->value[0], (size_t)op->count);
    return;
  }
  for (int32_t i = 0; i < op->count; ++i, to += op->element_bytes) {
    memcpy(to, op->value, (size_t)op->element_bytes);
  }
}
