#include "ep_kernels.h"

void ep_logical_not(const ep_real *op, const uint8_t *input, uint8_t *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    output[i] = !input[i];
  }
}
