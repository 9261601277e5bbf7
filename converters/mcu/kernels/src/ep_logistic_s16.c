#include "ep_kernels.h"
#include "ep_sigmoid.h"

/* A straight line between two points of a table. Source: TFLite reference/integer_ops/logistic.h, for int16. */
void ep_logistic_s16(const ep_sigmoid_s16 *op, const int16_t *input, int16_t *output) {
  const int32_t half = op->shift > 0 ? (int32_t)1 << (op->shift - 1) : 0;
  for (int32_t i = 0; i < op->size; ++i) {
    const int32_t scaled = (input[i] * op->multiplier + half) >> op->shift;
    const uint32_t size = (uint32_t)(scaled < 0 ? -scaled : scaled), index = size >> 9;
    uint32_t result = (uint32_t)INT16_MAX << 10;
    if (index < 255) {
      const uint32_t begin = ep_sigmoid_table[index], end = ep_sigmoid_table[index + 1];
      result = (begin << 9) + (size & 511) * (end - begin);
    }
    result = scaled >= 0 ? result + 512 : ((uint32_t)1 << 25) - result + 511;
    output[i] = (int16_t)(result >> 10);
  }
}
