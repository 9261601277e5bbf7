#include "ep_dsp.h"

/* What the loops below keep on their stack. */
typedef struct {
  const int8_t *input;
  int32_t odd; /* words & 1 */
  const int8_t *end;
  int8_t *output;
  int32_t multiplier, rounding, shift;
  int32_t blocks;
} pass;

#define INPUTS                     \
  "ldr r12, [r1], #4\n\t"          \
  "sxtb16 lr, r12, ror #8\n\t"     \
  "sxtb16 r12, r12\n\t"

/* Four inputs times two channels: eight multiply-accumulates in seven instructions. */
#define PAIR(both, low)                        \
  "ldrd r2, r3, [r0], #8\n\t"                  \
  "smlad " both ", r2, r12, " both "\n\t"      \
  "sxtb16 r2, r2\n\t"                          \
  "smlad " both ", r3, lr, " both "\n\t"       \
  "sxtb16 r3, r3\n\t"                          \
  "smlad " low ", r2, r12, " low "\n\t"        \
  "smlad " low ", r3, lr, " low "\n\t"

#define STEP_8 INPUTS PAIR("r4", "r5") PAIR("r6", "r7") PAIR("r8", "r9") PAIR("r10", "r11")
#define STEP_4 INPUTS PAIR("r4", "r5") PAIR("r6", "r7")

#define FINISH(both, low)                         \
  "ldrd r2, r3, [r0], #8\n\t"                     \
  "sub " both ", " both ", " low "\n\t"           \
  "add " both ", r2, " both ", asr #7\n\t"        \
  "add " low ", r3, " low ", lsl #1\n\t"          \
  EP_FINISH(both, "r1", "r12", "lr") EP_FINISH(low, "r1", "r12", "lr")

/* One factor for all channels. */
#define SHARED "add r2, sp, #16\n\tldm r2, {r1, r12, lr}\n\t"

/* Two channels with factors of their own. */
#define FINISH_OWN(both, low)                     \
  "ldm r0!, {r1, r2, r3, r12}\n\t"                \
  "sub " both ", " both ", " low "\n\t"           \
  "add " both ", r1, " both ", asr #7\n\t"        \
  EP_FINISH(both, "r2", "r3", "r12")              \
  "ldm r0!, {r1, r2, r3, r12}\n\t"                \
  "add " low ", r1, " low ", lsl #1\n\t"          \
  EP_FINISH(low, "r2", "r3", "r12")

#define LOOP(step)                       \
  "ldrd r1, r2, [sp]\n\t"                \
  "cmp r2, #0\n\t"                       \
  "bne 3f\n\t"                           \
  "2:\n\t" step                          \
  "3:\n\t" step                          \
  "ldr r2, [sp, #8]\n\t"                 \
  "cmp r1, r2\n\t"                       \
  "bne 2b\n\t"

#define EIGHTS(finish)                               \
  __asm__ volatile(                                  \
      "push {r4-r11, lr}\n\t"                        \
      "ldm r1, {r4-r11}\n\t"                         \
      "push {r4-r11}\n\t"                            \
      "1: movs r4, #0\n\t"                           \
      "movs r5, #0\n\t"                              \
      "movs r6, #0\n\t"                              \
      "movs r7, #0\n\t"                              \
      "mov r8, r4\n\t"                               \
      "mov r9, r4\n\t"                               \
      "mov r10, r4\n\t"                              \
      "mov r11, r4\n\t"                              \
      LOOP(STEP_8) finish                            \
      EP_JOIN("r4", "r5", "r6", "r7")                \
      EP_JOIN("r8", "r9", "r10", "r11")              \
      "ldr r1, [sp, #12]\n\t"                        \
      "str r4, [r1], #4\n\t"                         \
      "str r8, [r1], #4\n\t"                         \
      "ldr r2, [sp, #28]\n\t"                        \
      "str r1, [sp, #12]\n\t"                        \
      "subs r2, r2, #1\n\t"                          \
      "str r2, [sp, #28]\n\t"                        \
      "bne 1b\n\t"                                   \
      "add sp, sp, #32\n\t"                          \
      "pop {r4-r11, pc}\n\t")

/* Blocks of eight channels. Returns the weights behind the last one. */
EP_ASSEMBLY static const uint32_t *eights(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  EIGHTS(SHARED FINISH("r4", "r5") FINISH("r6", "r7") FINISH("r8", "r9") FINISH("r10", "r11"));
}

/* The same, where each channel has a factor of its own. */
EP_ASSEMBLY static const uint32_t *own_eights(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  EIGHTS(FINISH_OWN("r4", "r5") FINISH_OWN("r6", "r7") FINISH_OWN("r8", "r9") FINISH_OWN("r10", "r11"));
}

/* One block of four channels. */
EP_ASSEMBLY static void four(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r1, {r4-r11}\n\t"
      "push {r4-r11}\n\t"
      "movs r4, #0\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      LOOP(STEP_4) SHARED
      FINISH("r4", "r5") FINISH("r6", "r7")
      EP_JOIN("r4", "r5", "r6", "r7")
      "ldr r1, [sp, #12]\n\t"
      "str r4, [r1]\n\t"
      "add sp, sp, #32\n\t"
      "pop {r4-r11, pc}\n\t");
}

void ep_fully_connected_s8__dsp(const ep_fully_connected_packed *op, const int8_t *input, int8_t *output) {
  const int32_t size = op->output_size, rest = size & 7, inputs = 4 * op->words;
  int8_t last[8];
  for (int32_t row = 0; row < op->rows; ++row, input += inputs, output += size) {
    const uint32_t *weights = op->weights;
    pass p = {input, op->words & 1, input + inputs, output, op->multiplier, op->rounding, op->shift, size / 8};
    if (p.blocks > 0) {
      weights = op->per_channel ? own_eights(weights, &p) : eights(weights, &p);
    }
    if (rest > 0) {
      p.output = last;
      p.blocks = 1;
      if (op->per_channel) {
        (void)own_eights(weights, &p);
      } else if (rest > 4) {
        (void)eights(weights, &p);
      } else {
        four(weights, &p);
      }
      memcpy(output + size - rest, last, (size_t)rest);
    }
    ep_bound(output, size, op->activation_min, op->activation_max);
  }
}
