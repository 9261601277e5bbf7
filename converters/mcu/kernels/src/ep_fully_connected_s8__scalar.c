#include "ep_scalar.h"

/* Four channels of one row. */
static const int8_t *multiply(const int8_t *w, const int8_t *x, const int8_t *end, int32_t sums[4]) {
  int32_t acc_0 = 0, acc_1 = 0, acc_2 = 0, acc_3 = 0;
#define STEP                 \
  acc_0 += w[0] * x[0];      \
  acc_1 += w[1] * x[0];      \
  acc_2 += w[2] * x[0];      \
  acc_3 += w[3] * x[0];      \
  w += 4;                    \
  ++x;
  while ((end - x) & 3) {
    STEP
  }
  while (x != end) {
    STEP STEP STEP STEP
  }
  sums[0] = acc_0;
  sums[1] = acc_1;
  sums[2] = acc_2;
  sums[3] = acc_3;
  return w;
}

void ep_fully_connected_s8__scalar(const ep_fully_connected_fours *op, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->input_size) {
    const int8_t *weights = op->weights;
    const int32_t *bias = op->doubled_biases;
    for (int32_t left = op->output_size; left > 0; left -= 4) {
      int32_t sums[4];
      weights = multiply(weights, input, input + op->input_size, sums);
      for (int32_t i = 0; i < 4 && i < left; ++i) {
        *output++ = ep_finish(2 * sums[i] + *bias++, op->multiplier, op->rounding, op->shift);
      }
    }
    ep_bound(output - op->output_size, op->output_size, op->activation_min, op->activation_max);
  }
}
