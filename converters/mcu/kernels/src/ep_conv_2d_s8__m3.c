#include "ep_assembly.h"
#include "ep_pixel_pairs.h"
#include "ep_scalar.h"

/* Two pixels lie in a word as x1 + 2^23 x2, so that one long multiply-accumulate serves both: its 64 bits end as
 * sum(w x1) + 2^23 sum(w x2), exact as long as 128 sum|w| < 2^22, which the compiler of the model has checked.
 * The lower sum starts from 2^22, so that the upper one is what lies above bit 23. */
#define FIELD 23

/* What the loop below keeps on its stack. */
typedef struct {
  int8_t *outputs[4];
  const uint32_t *words;
  const uint32_t *end;
  int32_t blocks; /* of two channels */
} pass;

/* One input of four pixels times two channels: eight multiply-accumulates in seven instructions. */
#define STEP                         \
  "ldrd r2, r3, [r1], #8\n\t"        \
  "ldrsb r12, [r0], #1\n\t"          \
  "smlal r4, r5, r12, r2\n\t"        \
  "smlal r6, r7, r12, r3\n\t"        \
  "ldrsb r12, [r0], #1\n\t"          \
  "smlal r8, r9, r12, r2\n\t"        \
  "smlal r10, r11, r12, r3\n\t"

/* Twice an accumulator to an output: TFLite's two roundings (README.md, "Rounding"), offset, int8. */
#define FINISH(acc)                            \
  "smull lr, " acc ", " acc ", r2\n\t"         \
  "add " acc ", " acc ", lr, lsr #31\n\t"      \
  "add " acc ", " acc ", " acc ", asr #31\n\t" \
  "add " acc ", " acc ", r3\n\t"               \
  "asr " acc ", " acc ", r12\n\t"              \
  "ssat " acc ", #8, " acc "\n\t"

/* Two pixels of a channel. */
#define SPLIT(low, high)                           \
  "lsl " high ", " high ", #9\n\t"                 \
  "orr " high ", " high ", " low ", lsr #23\n\t"   \
  "lsl " low ", " low ", #9\n\t"                   \
  "eor " low ", " low ", #0x80000000\n\t"          \
  "add " low ", r1, " low ", asr #8\n\t"           \
  "add " high ", r1, " high ", lsl #1\n\t"         \
  FINISH(low) FINISH(high)

#define CHANNEL "ldm r0!, {r1, r2, r3, r12}\n\t"

/* All channels of four pixels. Returns the weights behind the last block. */
EP_ASSEMBLY static const uint32_t *multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r1, {r4-r10}\n\t"
      "push {r4-r10}\n\t"
      "1: ldr r1, [sp, #16]\n\t"
      "ldr lr, [sp, #20]\n\t"
      "mov r4, #0x400000\n\t"
      "mov r6, r4\n\t"
      "mov r8, r4\n\t"
      "mov r10, r4\n\t"
      "movs r5, #0\n\t"
      "movs r7, #0\n\t"
      "mov r9, r5\n\t"
      "mov r11, r5\n\t"
      "2:\n\t" STEP STEP STEP STEP
      "cmp r1, lr\n\t"
      "bne 2b\n\t"
      CHANNEL SPLIT("r4", "r5") SPLIT("r6", "r7")
      CHANNEL SPLIT("r8", "r9") SPLIT("r10", "r11")
      "ldm sp, {r1, r2, r3, r12}\n\t"
      "bfi r4, r8, #8, #8\n\t"
      "bfi r5, r9, #8, #8\n\t"
      "bfi r6, r10, #8, #8\n\t"
      "bfi r7, r11, #8, #8\n\t"
      "strh r4, [r1], #2\n\t"
      "strh r5, [r2], #2\n\t"
      "strh r6, [r3], #2\n\t"
      "strh r7, [r12], #2\n\t"
      "stm sp, {r1, r2, r3, r12}\n\t"
      "ldr r3, [sp, #24]\n\t"
      "subs r3, r3, #1\n\t"
      "str r3, [sp, #24]\n\t"
      "bne 1b\n\t"
      "add sp, sp, #28\n\t"
      "pop {r4-r11, pc}\n\t");
}

void ep_conv_2d_s8__m3(const ep_conv_2d_long *op, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = op->window.output_channels;
  const int32_t last = op->window.output_height * op->window.output_width - 1;
  uint32_t *const words = (uint32_t *)scratch, *const end = words + 2 * op->inputs;
  int8_t *const zeros = (int8_t *)end;
  for (int32_t i = 0; i < op->window.input_channels; ++i) {
    zeros[i] = (int8_t)op->zero_point;
  }
  for (int32_t i = 1; i <= 6; ++i) {
    end[-i] = 0; /* the weights of what pads the inputs are 0 */
  }
  for (int32_t pixel = 0; pixel <= last; pixel += 4) {
    const uint32_t *weights = op->weights;
    int8_t odd[4][2];
    pass p = {.words = words, .end = end, .blocks = channels / 2};
    int32_t at[4]; /* the last pixels are one, several times */
    for (int32_t i = 0; i < 4; ++i) {
      at[i] = pixel + i < last ? pixel + i : last;
      p.outputs[i] = output + at[i] * channels;
    }
    ep_load_pair(&op->window, input, zeros, at[0], at[1], FIELD, 2, words);
    ep_load_pair(&op->window, input, zeros, at[2], at[3], FIELD, 2, words + 1);
    if (p.blocks > 0) {
      weights = multiply(weights, &p);
    }
    if (channels & 1) {
      for (int32_t i = 0; i < 4; ++i) {
        p.outputs[i] = odd[i];
      }
      p.blocks = 1;
      (void)multiply(weights, &p);
      for (int32_t i = 0; i < 4; ++i) {
        output[(at[i] + 1) * channels - 1] = odd[i][0];
      }
    }
  }
  ep_bound(output, (last + 1) * channels, op->activation_min, op->activation_max);
}
