/* UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with a cell state of int16, and the functions of its gates. */
#ifndef EP_LSTM_H
#define EP_LSTM_H

#include <stdint.h>

#include "ep_symbols.h"

#include "ep_fixed_point.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a gate's sums become Q3.12. */
typedef struct {
  int32_t input_multiplier, input_shift;
  int32_t recurrent_multiplier, recurrent_shift;
} ep_lstm_gate;

/* A product of two int16 and what rescales it. */
typedef struct {
  int32_t multiplier, shift;
} ep_lstm_product;

/* Gates in the order input, forget, cell, output. */
typedef struct {
  const int8_t *input_weights;     /* [4][units][inputs] */
  const int8_t *recurrent_weights; /* [4][units][units] */
  const int32_t *bias;             /* [4][units] */
  const ep_lstm_gate *gates;       /* [4] */
  const uint16_t *sigmoid;         /* [256]: sigmoid(i / 24) in Q0.16 */
  int32_t batches, steps, inputs, units;
  int32_t time_major; /* tensors are [steps][batches][...], else [batches][steps][...] */
  int32_t input_offset, hidden_zero_point;
  int32_t cell_clip; /* 0: none */
  int32_t tanh_multiplier, tanh_shift;
  ep_lstm_product forget_cell, input_cell, output_hidden;
} ep_lstm;

/* hidden [batches][units] and cell [batches][units] are kept by the caller from one run to the next. */
void ep_lstm_s8(const ep_lstm *op, const int8_t *input, int8_t *hidden, int16_t *cell, int8_t *output);

/* sigmoid(x) for x in Q3.12, in Q0.15. Source: TFLite reference/integer_ops/logistic.h, int16. */
static inline int32_t ep_logistic_q15(const uint16_t *table, int32_t x) {
  const int32_t scaled = x * 3;
  const uint32_t distance = (uint32_t)(scaled < 0 ? -scaled : scaled);
  const uint32_t place = distance >> 9;
  uint32_t result = (uint32_t)0x7fff << 10;
  if (place < 255) {
    const uint32_t low = table[place], high = table[place + 1];
    result = (low << 9) + (distance & 0x1ffU) * (high - low);
  }
  result = scaled >= 0 ? result + (1U << 9) : (1U << 25) - result + (1U << 9) - 1U;
  return (int32_t)(result >> 10);
}

/* tanh(x) in Q0.15; multiplier and shift bring x to 3 * Q3.12. Source: TFLite reference/integer_ops/tanh.h. */
static inline int32_t ep_tanh_q15(const uint16_t *table, int32_t x, int32_t multiplier, int32_t shift) {
  const int32_t scaled = (x * multiplier + (shift > 0 ? (int32_t)1 << (shift - 1) : 0)) >> shift;
  const uint32_t distance = (uint32_t)(scaled < 0 ? -scaled : scaled);
  const uint32_t place = distance >> 8;
  int32_t result = (int32_t)0xffff << 8;
  if (place < 255) {
    const int32_t low = table[place], high = table[place + 1];
    result = (low << 8) + (int32_t)(distance & 0xffU) * (high - low);
  }
  const int32_t one = (int32_t)1 << 23, half = (int32_t)1 << 7;
  return (scaled >= 0 ? result - one + half : one - result + half - 1) >> 8;
}

#ifdef __cplusplus
}
#endif

#endif /* EP_LSTM_H */
