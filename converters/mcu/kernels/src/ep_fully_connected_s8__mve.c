#include "ep_mve.h"

/* What the loop below keeps on its stack. */
typedef struct {
  int8_t *output;
  const int8_t *end; /* of the output */
  int32_t low, high;
  const int8_t *input;
  int32_t more; /* vectors but the first */
  int32_t multiplier, shift;
  int32_t output_offset;
} pass;

/* Sixteen inputs times eight channels. */
#define STEP(mac)                       \
  "vldrb.u8 q0, [r3], #16\n\t"          \
  "vldrb.u8 q1, [r1], #16\n\t"          \
  mac ".s8 r0, q0, q1\n\t"              \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r2, q0, q2\n\t"              \
  "vldrb.u8 q1, [r1], #16\n\t"          \
  mac ".s8 r4, q0, q1\n\t"              \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r6, q0, q2\n\t"              \
  "vldrb.u8 q1, [r1], #16\n\t"          \
  mac ".s8 r8, q0, q1\n\t"              \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r10, q0, q2\n\t"             \
  "vldrb.u8 q1, [r1], #16\n\t"          \
  mac ".s8 r12, q0, q1\n\t"             \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 lr, q0, q2\n\t"

#define FIRST STEP("vmladav")
#define MORE STEP("vmladava")

/* Blocks of eight channels. Returns the weights behind the last one. */
EP_ASSEMBLY static const uint32_t *multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "vpush {d8-d15}\n\t"
      "ldrd r7, r11, [r1], #8\n\t"
      "ldm r1, {r2, r3, r4, r5, r6, r8, r9}\n\t"
      "vdup.16 q4, r2\n\t"
      "vdup.16 q5, r3\n\t"
      "vdup.32 q6, r8\n\t"
      "vdup.16 q7, r9\n\t"
      "push {r4, r5}\n\t"
      "mov r5, r6\n\t"
      "mov r1, r0\n\t"
      "1: ldrd r3, r9, [sp]\n\t"
      FIRST
      "lsrs r9, r9, #1\n\t"
      "bcc 2f\n\t"
      MORE
      "2: beq 4f\n\t"
      "3:\n\t" MORE MORE
      "subs r9, r9, #1\n\t"
      "bne 3b\n\t"
      "4: vmov q0[2], q0[0], r0, r4\n\t"
      "vmov q0[3], q0[1], r2, r6\n\t"
      "vmov q1[2], q1[0], r8, r12\n\t"
      "vmov q1[3], q1[1], r10, lr\n\t"
      "vldrw.u32 q2, [r1], #16\n\t"
      "vldrw.u32 q3, [r1], #16\n\t"
      "vadd.i32 q0, q0, q2\n\t"
      "vadd.i32 q1, q1, q3\n\t"
      "vqrdmulh.s32 q0, q0, r5\n\t"
      "vqrdmulh.s32 q1, q1, r5\n\t"
      EP_ROUND_EACH("q0", "q2", "q6")
      EP_ROUND_EACH("q1", "q2", "q6")
      "vqmovnb.s32 q0, q0\n\t"
      "vqmovnt.s32 q0, q1\n\t"
      "vqadd.s16 q0, q0, q7\n\t"
      "vmax.s16 q0, q0, q4\n\t"
      "vmin.s16 q0, q0, q5\n\t"
      "vstrb.16 q0, [r7], #8\n\t"
      "cmp r7, r11\n\t"
      "bne 1b\n\t"
      "mov r0, r1\n\t"
      "add sp, sp, #8\n\t"
      "vpop {d8-d15}\n\t"
      "pop {r4-r11, pc}\n\t");
}

void ep_fully_connected_s8__mve(const ep_fully_connected_vectors *op, const int8_t *input, int8_t *output,
                                void *scratch) {
  const int32_t size = op->output_size, rest = size & 7, whole = size - rest;
  const int copy = op->input_size != EP_VECTOR * op->vectors;
  int8_t last[8];
  for (int32_t row = 0; row < op->rows; ++row, input += op->input_size, output += size) {
    const uint32_t *weights = op->weights;
    pass p = {output, output + whole, op->activation_min, op->activation_max, input,
              op->vectors - 1, op->multiplier, op->shift, op->output_offset};
    if (copy) { /* what lies behind a row does not matter, it meets weights of 0 */
      ep_copy((int8_t *)scratch, input, op->input_size);
      p.input = (const int8_t *)scratch;
    }
    if (whole > 0) {
      weights = multiply(weights, &p);
    }
    if (rest > 0) {
      p.output = last;
      p.end = last + 8;
      (void)multiply(weights, &p);
      memcpy(output + whole, last, (size_t)rest);
    }
  }
}
