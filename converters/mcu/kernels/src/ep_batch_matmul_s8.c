#include "ep_kernels.h"

static void multiply(const ep_batch_matmul *op, const int8_t *first, const int8_t *second, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row) {
    for (int32_t column = 0; column < op->columns; ++column) {
      const int8_t *a = first + row * op->first_row, *b = second + column * op->second_column;
      int32_t sum = 0;
      for (int32_t i = 0; i < op->depth; ++i, a += op->first_depth, b += op->second_depth) {
        sum += (*a + op->first_offset) * (*b + op->second_offset);
      }
      const int32_t result = ep_requantize(sum, op->multiplier, op->shift) + op->output_offset;
      *output++ = (int8_t)ep_clamp(result, INT8_MIN, INT8_MAX);
    }
  }
}

/* Source: TFLite reference/batch_matmul.h. */
void ep_batch_matmul_s8(const ep_batch_matmul *op, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
  const ep_broadcast *const b = &op->batches;
  for (int32_t i0 = 0; i0 < b->size_0; ++i0) {
    for (int32_t i1 = 0; i1 < b->size_1; ++i1) {
      for (int32_t i2 = 0; i2 < b->size_2; ++i2) {
        for (int32_t i3 = 0; i3 < b->size_3; ++i3, output += op->rows * op->columns) {
          const int32_t at_1 = i0 * b->first_0 + i1 * b->first_1 + i2 * b->first_2 + i3 * b->first_3;
          const int32_t at_2 = i0 * b->second_0 + i1 * b->second_1 + i2 * b->second_2 + i3 * b->second_3;
          multiply(op, input_1 + at_1, input_2 + at_2, output);
        }
      }
    }
  }
}
