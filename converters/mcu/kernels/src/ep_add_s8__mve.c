#include "ep_mve.h"

/* Eight sums a turn. 16 (x + offset) fits 16 bits; VSHLL makes that 2^19 (x + offset) of the first input, which
 * TFLite's multiplier of 1/2 leaves of 2^20, and 2^20 (y + offset) of the second, even and odd elements apart. */
EP_ASSEMBLY static void add_eights(EP_IN_REGISTER const ep_add_vectors *op, EP_IN_REGISTER const int8_t *first,
                                   EP_IN_REGISTER const int8_t *second, EP_IN_REGISTER int8_t *output,
                                   EP_IN_REGISTER int32_t eights) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "vpush {d8-d15}\n\t"
      "ldr lr, [sp, #100]\n\t"
      "mov r12, r0\n\t"
      "ldm r12!, {r4-r11}\n\t" /* size, biases of both, multiplier and shift, those of the sum, offset */
      "ldrd r0, r12, [r12]\n\t"
      "vdup.16 q6, r0\n\t"
      "vdup.16 q7, r12\n\t"
      "vmov.i16 q5, #16\n\t"
      "mov r12, r3\n\t"
      "mov r0, r2\n\t"
      "mov r2, r12\n\t" /* r1 and r0: inputs, r2: output */
      "dls lr, lr\n\t"
      "1: vldrb.s16 q3, [r0], #8\n\t"
      "vmlas.s16 q3, q5, r6\n\t"
      "vldrb.s16 q1, [r1], #8\n\t"
      "vshllb.s16 q2, q3, #16\n\t"
      "vmlas.s16 q1, q5, r5\n\t"
      "vshllt.s16 q3, q3, #16\n\t"
      "vqrdmulh.s32 q2, q2, r7\n\t"
      "vqrdmulh.s32 q3, q3, r7\n\t"
      EP_ROUND("q2", "q4", "r8")
      EP_ROUND("q3", "q4", "r8")
      "vshllb.s16 q0, q1, #15\n\t"
      "vshllt.s16 q1, q1, #15\n\t"
      "vadd.i32 q0, q0, q2\n\t"
      "vadd.i32 q1, q1, q3\n\t"
      "vqrdmulh.s32 q0, q0, r9\n\t"
      "vqrdmulh.s32 q1, q1, r9\n\t"
      EP_ROUND("q0", "q4", "r10")
      EP_ROUND("q1", "q4", "r10")
      "vqmovnb.s32 q0, q0\n\t"
      "vqmovnt.s32 q0, q1\n\t"
      "vqadd.s16 q0, q0, r11\n\t"
      "vmax.s16 q0, q0, q6\n\t"
      "vmin.s16 q0, q0, q7\n\t"
      "vstrb.16 q0, [r2], #8\n\t"
      "le lr, 1b\n\t"
      "vpop {d8-d15}\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Source: TFLite reference/integer_ops/add.h, AddElementwise. */
void ep_add_s8__mve(const ep_add_vectors *op, const int8_t *first, const int8_t *second, int8_t *output) {
  const int32_t rest = op->size & 7, whole = op->size - rest;
  if (whole > 0) {
    add_eights(op, first, second, output, whole / 8);
  }
  if (rest > 0) {
    int8_t eights[2][8] = {{0}, {0}};
    memcpy(eights[0], first + whole, (size_t)rest);
    memcpy(eights[1], second + whole, (size_t)rest);
    add_eights(op, eights[0], eights[1], eights[0], 1);
    memcpy(output + whole, eights[0], (size_t)rest);
  }
}
