#include <string.h>

#include "ep_kernels.h"

static int32_t dot(const int8_t *weights, const int8_t *x, int32_t offset, int32_t count) {
  int32_t acc = 0;
  for (int32_t i = 0; i < count; ++i) {
    acc += weights[i] * (x[i] + offset);
  }
  return acc;
}

static int32_t clamp_16(int32_t x) { return ep_clamp(x, INT16_MIN, INT16_MAX); }

/* The sum of a gate for one unit, in Q3.12; either half is rounded and clamped on its own, as in TFLite. */
static int32_t gate_sum(const ep_lstm *op, int32_t gate, int32_t unit, const int8_t *x, const int8_t *hidden) {
  const ep_lstm_gate *const q = &op->gates[gate];
  const int32_t row = gate * op->units + unit;
  const int32_t in = op->bias[row] + dot(op->input_weights + row * op->inputs, x, op->input_offset, op->inputs);
  const int32_t back = dot(op->recurrent_weights + row * op->units, hidden, -op->hidden_zero_point, op->units);
  return clamp_16(clamp_16(ep_requantize(in, q->input_multiplier, q->input_shift)) +
                  clamp_16(ep_requantize(back, q->recurrent_multiplier, q->recurrent_shift)));
}

static int32_t product(const ep_lstm_product *q, int32_t a, int32_t b) {
  return ep_requantize(a * b, q->multiplier, q->shift);
}

/* One time step of one batch: `next` becomes the hidden state after `hidden`.
 * Source: TFLite Micro lstm_eval.h, LstmStep. */
static void step(const ep_lstm *op, const int8_t *x, const int8_t *hidden, int16_t *cell, int8_t *next) {
  for (int32_t unit = 0; unit < op->units; ++unit) {
    const int32_t in = ep_logistic_q15(op->sigmoid, gate_sum(op, 0, unit, x, hidden));
    const int32_t forget = ep_logistic_q15(op->sigmoid, gate_sum(op, 1, unit, x, hidden));
    const int32_t fresh = ep_tanh_q15(op->sigmoid, gate_sum(op, 2, unit, x, hidden), 3, 0);
    const int32_t out = ep_logistic_q15(op->sigmoid, gate_sum(op, 3, unit, x, hidden));
    int32_t state = clamp_16(clamp_16(product(&op->forget_cell, forget, cell[unit])) +
                             clamp_16(product(&op->input_cell, in, fresh)));
    if (op->cell_clip > 0) {
      state = ep_clamp(state, -op->cell_clip, op->cell_clip);
    }
    cell[unit] = (int16_t)state;
    const int32_t shown = ep_tanh_q15(op->sigmoid, state, op->tanh_multiplier, op->tanh_shift);
    const int32_t result = product(&op->output_hidden, shown, out) + op->hidden_zero_point;
    next[unit] = (int8_t)ep_clamp(result, INT8_MIN, INT8_MAX);
  }
}

/* The hidden state of a step is its row of the output, so that it takes no memory of its own. */
void ep_lstm_s8(const ep_lstm *op, const int8_t *input, int8_t *hidden, int16_t *cell, int8_t *output) {
  const int32_t stride = op->time_major ? op->batches : 1;
  for (int32_t batch = 0; batch < op->batches; ++batch) {
    const int32_t first = op->time_major ? batch : batch * op->steps;
    const int8_t *last = hidden + batch * op->units;
    for (int32_t time = 0; time < op->steps; ++time) {
      const int32_t row = first + time * stride;
      int8_t *const next = output + row * op->units;
      step(op, input + row * op->inputs, last, cell + batch * op->units, next);
      last = next;
    }
    if (op->steps > 0) {
      memcpy(hidden + batch * op->units, last, (size_t)op->units);
    }
  }
}
