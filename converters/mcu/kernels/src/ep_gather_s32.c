#include <string.h>

#include "ep_kernels.h"

/* Source: TFLite reference/gather.h, which trusts the indices. */
void ep_gather_s32(const ep_gather *op, const void *input, const int32_t *indices, void *output) {
  const uint8_t *from = (const uint8_t *)input;
  uint8_t *to = (uint8_t *)output;
  for (int32_t batch = 0; batch < op->batches; ++batch, indices += op->count) {
    for (int32_t outer = 0; outer < op->outer; ++outer, from += op->axis * op->inner_bytes) {
      for (int32_t i = 0; i < op->count; ++i, to += op->inner_bytes) {
        const int32_t index = ep_clamp(indices[i], 0, op->axis - 1);
        memcpy(to, from + index * op->inner_bytes, (size_t)op->inner_bytes);
      }
    }
  }
}
