#include "ep_kernels.h"
#include "ep_sigmoid.h"

/* 2 sigmoid(2 x) - 1, by the table of LOGISTIC. Source: TFLite reference/integer_ops/tanh.h, for int16. */
void ep_tanh_s16(const ep_sigmoid_s16 *op, const int16_t *input, int16_t *output) {
  const int32_t half = op->shift > 0 ? (int32_t)1 << (op->shift - 1) : 0;
  for (int32_t i = 0; i < op->size; ++i) {
    const int32_t scaled = (input[i] * op->multiplier + half) >> op->shift;
    const int32_t size = scaled < 0 ? -scaled : scaled, index = size >> 8;
    int32_t result = UINT16_MAX << 8;
    if (index < 255) {
      const int32_t begin = ep_sigmoid_table[index], end = ep_sigmoid_table[index + 1];
      result = (begin << 8) + (size & 255) * (end - begin);
    }
    result = scaled >= 0 ? result - (1 << 23) + 128 : -result + (1 << 23) + 127;
    output[i] = (int16_t)(result >> 8);
  }
}
