#include "ep_assembly.h"
#include "ep_scalar.h"

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)

/* r4 to r7 hold 0 to 3: a signed byte can only be loaded with an offset in a register. */
#define CHANNEL(at, acc)              \
  "ldrsb r3, [r0, " at "]\n\t"        \
  "muls r3, r2, r3\n\t"               \
  "add " acc ", " acc ", r3\n\t"

#define STEP(at)                      \
  "ldrsb r2, [r1, " at "]\n\t"        \
  CHANNEL("r4", "r8") CHANNEL("r5", "r9") CHANNEL("r6", "r10") CHANNEL("r7", "r11") \
  "adds r0, r0, #4\n\t"

/* Adds four inputs at a time to the sums of four channels; returns the weights behind them. Compilers have too few
 * registers for this. */
EP_ASSEMBLY static const int8_t *multiply_fours(EP_IN_REGISTER const int8_t *weights, EP_IN_REGISTER const int8_t *x,
                                                EP_IN_REGISTER const int8_t *end, EP_IN_REGISTER int32_t sums[4]) {
  __asm__ volatile(
      ".syntax unified\n\t"
      "push {r4-r7, lr}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "push {r3-r7}\n\t"
      "mov r12, r2\n\t"
      "ldmia r3!, {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "movs r4, #0\n\t"
      "movs r5, #1\n\t"
      "movs r6, #2\n\t"
      "movs r7, #3\n\t"
      "1:\n\t"
      STEP("r4") STEP("r5") STEP("r6") STEP("r7")
      "adds r1, r1, #4\n\t"
      "cmp r1, r12\n\t"
      "bne 1b\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "pop {r3}\n\t"
      "stmia r3!, {r4-r7}\n\t"
      "pop {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "pop {r4-r7, pc}\n\t");
}

#else

#define STEP(at)                       \
  acc_0 += w[4 * (at)] * x[at];        \
  acc_1 += w[4 * (at) + 1] * x[at];    \
  acc_2 += w[4 * (at) + 2] * x[at];    \
  acc_3 += w[4 * (at) + 3] * x[at];

/* Adds four inputs at a time to the sums of four channels; returns the weights behind them. */
static inline const int8_t *multiply_fours(const int8_t *w, const int8_t *x, const int8_t *end, int32_t sums[4]) {
  int32_t acc_0 = sums[0], acc_1 = sums[1], acc_2 = sums[2], acc_3 = sums[3];
  do {
    STEP(0) STEP(1) STEP(2) STEP(3)
    w += 16;
    x += 4;
  } while (x != end);
  sums[0] = acc_0;
  sums[1] = acc_1;
  sums[2] = acc_2;
  sums[3] = acc_3;
  return w;
}

#endif

/* Four channels of one row: first what is left of the inputs over a multiple of four, then fours. */
static const int8_t *multiply(const int8_t *w, const int8_t *x, int32_t inputs, int32_t sums[4]) {
  const int8_t *const end = x + inputs;
  for (int32_t i = inputs & 3; i > 0; --i, ++x, w += 4) {
    for (int32_t channel = 0; channel < 4; ++channel) {
      sums[channel] += w[channel] * *x;
    }
  }
  return x != end ? multiply_fours(w, x, end, sums) : w;
}

void ep_fully_connected_s8__scalar(const ep_fully_connected_fours *op, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->input_size, output += op->output_size) {
    const int8_t *weights = op->weights;
    for (int32_t first = 0; first < op->output_size; first += 4) {
      const int32_t left = op->output_size - first;
      int32_t sums[4] = {0, 0, 0, 0};
      weights = multiply(weights, input, op->input_size, sums);
      for (int32_t i = 0; i < 4 && i < left; ++i) {
        const ep_channel_right *const q = &op->channels[op->per_channel ? first + i : 0];
        const int32_t bias = op->per_channel ? q->doubled_bias : op->doubled_biases[first + i];
        output[first + i] = ep_finish(2 * sums[i] + bias, q->multiplier, q->rounding, q->shift);
      }
    }
    ep_bound(output, op->output_size, op->activation_min, op->activation_max);
  }
}
