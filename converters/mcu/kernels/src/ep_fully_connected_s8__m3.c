#include "ep_assembly.h"
#include "ep_scalar.h"

/* A word W holds the weights of four channels as bytes u0, u1, u2 and w3, where u = w + 128:
 *   W = u0 + 2^8 u1 + 2^16 u2 + 2^24 w3.
 * One SMLAL accumulates sum(W x) in 64 bits, two MLA accumulate sum(u1 x) and sum(u2 x). Without these, and without
 * 128 sum(x), what is left is sum(w0 x) + 2^24 sum(w3 x): two sums apart, as long as 128 sum|w0| < 2^23, which the
 * compiler of the model has checked. Four multiply-accumulates take six instructions. */

/* What the loop below keeps on its stack. */
typedef struct {
  const int8_t *input;
  const int8_t *end;
  int32_t sum; /* 128 sum(x) */
  int32_t multiplier, rounding, shift;
  int8_t *output;
  int32_t blocks; /* of eight channels */
} pass;

#define FOUR(low, high, first, second)             \
  "ldr r12, [r0], #4\n\t"                          \
  "smlal " low ", " high ", r12, r3\n\t"           \
  "uxtb lr, r12, ror #8\n\t"                       \
  "mla " first ", lr, r3, " first "\n\t"           \
  "uxtb lr, r12, ror #16\n\t"                      \
  "mla " second ", lr, r3, " second "\n\t"

/* One input times eight channels. */
#define STEP "ldrsb r3, [r1], #1\n\t" FOUR("r4", "r5", "r6", "r7") FOUR("r8", "r9", "r10", "r11")

/* Twice the sums of four channels, biases added; r1 is 128 sum(x). */
#define SPLIT(low, high, first, second)                  \
  "subs " low ", " low ", " first ", lsl #8\n\t"         \
  "sbc " high ", " high ", " first ", asr #24\n\t"       \
  "subs " low ", " low ", " second ", lsl #16\n\t"       \
  "sbc " high ", " high ", " second ", asr #16\n\t"      \
  "subs " low ", " low ", r1\n\t"                        \
  "sbc " high ", " high ", r1, asr #31\n\t"              \
  "sub " first ", " first ", r1\n\t"                     \
  "sub " second ", " second ", r1\n\t"                   \
  "adds r2, " low ", #0x800000\n\t"                      \
  "adc " high ", " high ", #0\n\t"                       \
  "lsl " high ", " high ", #8\n\t"                       \
  "orr " high ", " high ", r2, lsr #24\n\t"              \
  "lsl " low ", " low ", #8\n\t"                         \
  "ldrd r2, r3, [r0], #8\n\t"                            \
  "add " low ", r2, " low ", asr #7\n\t"                 \
  "add " first ", r3, " first ", lsl #1\n\t"             \
  "ldrd r2, r3, [r0], #8\n\t"                            \
  "add " second ", r2, " second ", lsl #1\n\t"           \
  "add " high ", r3, " high ", lsl #1\n\t"

/* TFLite's two roundings (README.md, "Rounding"), offset, int8. */
#define FINISH(acc)                              \
  "smull r12, " acc ", " acc ", r1\n\t"          \
  "add " acc ", " acc ", r12, lsr #31\n\t"       \
  "add " acc ", " acc ", " acc ", asr #31\n\t"   \
  "add " acc ", " acc ", r2\n\t"                 \
  "asr " acc ", " acc ", r3\n\t"                 \
  "ssat " acc ", #8, " acc "\n\t"

#define JOIN(a, b, c, d)               \
  "bfi " a ", " b ", #8, #8\n\t"       \
  "bfi " a ", " c ", #16, #8\n\t"      \
  "bfi " a ", " d ", #24, #8\n\t"

/* Blocks of eight channels. Returns the weights behind the last one. */
EP_ASSEMBLY static const uint32_t *multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r1, {r4-r11}\n\t"
      "push {r4-r11}\n\t"
      "1: ldrd r1, r2, [sp]\n\t"
      "movs r4, #0\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "mov r8, r4\n\t"
      "mov r9, r4\n\t"
      "mov r10, r4\n\t"
      "mov r11, r4\n\t"
      "2:\n\t" STEP STEP STEP STEP
      "cmp r1, r2\n\t"
      "bne 2b\n\t"
      "ldr r1, [sp, #8]\n\t"
      SPLIT("r4", "r5", "r6", "r7") SPLIT("r8", "r9", "r10", "r11")
      "add r12, sp, #12\n\t"
      "ldm r12, {r1, r2, r3}\n\t"
      FINISH("r4") FINISH("r5") FINISH("r6") FINISH("r7")
      FINISH("r8") FINISH("r9") FINISH("r10") FINISH("r11")
      JOIN("r4", "r6", "r7", "r5") JOIN("r8", "r10", "r11", "r9")
      "ldrd r1, r2, [sp, #24]\n\t"
      "str r4, [r1], #4\n\t"
      "str r8, [r1], #4\n\t"
      "subs r2, r2, #1\n\t"
      "strd r1, r2, [sp, #24]\n\t"
      "bne 1b\n\t"
      "add sp, sp, #32\n\t"
      "pop {r4-r11, pc}\n\t");
}

void ep_fully_connected_s8__m3(const ep_fully_connected_bytes *op, const int8_t *input, int8_t *output) {
  const int32_t size = op->output_size, rest = size & 7;
  for (int32_t row = 0; row < op->rows; ++row, input += op->input_size, output += size) {
    const uint32_t *weights = op->weights;
    pass p = {input, input + op->input_size, 0, op->multiplier, op->rounding, op->shift, output, size / 8};
    for (int32_t i = 0; i < op->input_size; ++i) {
      p.sum += input[i] * 128;
    }
    if (p.blocks > 0) {
      weights = multiply(weights, &p);
    }
    if (rest > 0) {
      int8_t last[8];
      p.output = last;
      p.blocks = 1;
      (void)multiply(weights, &p);
      for (int32_t i = 0; i < rest; ++i) {
        output[size - rest + i] = last[i];
      }
    }
    ep_bound(output, size, op->activation_min, op->activation_max);
  }
}
