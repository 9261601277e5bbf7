/* What the kernels for cores with Helium (Cortex-M55, M85) share.
 *
 * VMLADAVA multiplies sixteen inputs by sixteen weights and adds the products to one even-numbered register; so
 * the loops are functions in assembly: eight such accumulators leave the odd registers for everything else,
 * which no list of operands may ask for. Loads and multiplications alternate, as both run at one time.
 */
#ifndef EP_MVE_H
#define EP_MVE_H

#include <arm_mve.h>
#include <stdint.h>
#include <string.h>

#include "ep_assembly.h"
#include "ep_kernels.h"

#define EP_VECTOR 16 /* bytes */

/* The second of TFLite's two roundings (README.md, "Rounding"), in place. VRSHL rounds ties up; one less where x is
 * negative makes that away from zero. shift: -31 to -1, in a register; or, for EP_ROUND_EACH, a vector of them. */
#define EP_AWAY(x, temporary)                          \
  "vshr.s32 " temporary ", " x ", #31\n\t"             \
  "vadd.i32 " x ", " x ", " temporary "\n\t"
#define EP_ROUND(x, temporary, shift) EP_AWAY(x, temporary) "vrshl.s32 " x ", " shift "\n\t"
#define EP_ROUND_EACH(x, temporary, shift) EP_AWAY(x, temporary) "vrshl.s32 " x ", " x ", " shift "\n\t"

/* Four channels of two pixels: from accumulators r0, r2, r4, r6 and r8, r10, r12, lr to outputs without their offset
 * in q0 and q1; r1 points to biases, multipliers and shifts, and `last` bytes behind the shifts' first afterwards. */
#define EP_SCALE_8(last)                    \
  "vmov q0[2], q0[0], r0, r4\n\t"           \
  "vmov q0[3], q0[1], r2, r6\n\t"           \
  "vmov q1[2], q1[0], r8, r12\n\t"          \
  "vmov q1[3], q1[1], r10, lr\n\t"          \
  "vldrw.u32 q2, [r1], #16\n\t"             \
  "vldrw.u32 q3, [r1], #16\n\t"             \
  "vadd.i32 q0, q0, q2\n\t"                 \
  "vadd.i32 q1, q1, q2\n\t"                 \
  "vqrdmulh.s32 q0, q0, q3\n\t"             \
  "vqrdmulh.s32 q1, q1, q3\n\t"             \
  "vldrw.u32 q3, [r1], #" last "\n\t"       \
  EP_ROUND_EACH("q0", "q2", "q3")              \
  EP_ROUND_EACH("q1", "q2", "q3")

/* Adds the output's offset, clamps to [q6, q7] and stores to r5 and r7. */
#define EP_STORE_8(offset)                  \
  "vadd.i32 q0, q0, " offset "\n\t"         \
  "vadd.i32 q1, q1, " offset "\n\t"         \
  "vmax.s32 q0, q0, q6\n\t"                 \
  "vmax.s32 q1, q1, q6\n\t"                 \
  "vmin.s32 q0, q0, q7\n\t"                 \
  "vmin.s32 q1, q1, q7\n\t"                 \
  "vstrb.32 q0, [r5], #4\n\t"               \
  "vstrb.32 q1, [r7], #4\n\t"

/* memcpy and memset for short runs: a loop whose last turn takes what is left. */
static inline void ep_copy(int8_t *to, const int8_t *from, int32_t count) {
  __asm__ volatile(
      "wlstp.8 lr, %2, 1f\n\t"
      "2: vldrb.u8 q0, [%1], #16\n\t"
      "vstrb.8 q0, [%0], #16\n\t"
      "letp lr, 2b\n\t"
      "1:\n\t"
      : "+r"(to), "+r"(from) : "r"(count) : "lr", "q0", "memory");
}

static inline void ep_fill(int8_t *to, int8_t value, int32_t count) {
  __asm__ volatile(
      "vdup.8 q0, %1\n\t"
      "wlstp.8 lr, %2, 1f\n\t"
      "2: vstrb.8 q0, [%0], #16\n\t"
      "letp lr, 2b\n\t"
      "1:\n\t"
      : "+r"(to) : "r"(value), "r"(count) : "lr", "q0", "memory");
}

/* Pixels to pixels that lie `to_step` apart; the source stands still where `from_step` is 0. */
static inline void ep_spread(const int8_t *from, int32_t from_step, int32_t pixels, int32_t depth, int8_t *to,
                             int32_t to_step) {
  for (int32_t slice = 0; pixels > 0 && slice < depth; slice += EP_VECTOR, to += EP_VECTOR) {
    const int8_t *source = from;
    int8_t *goal = to;
    __asm__ volatile(
        "vctp.8 %[rest]\n\t"
        "dls lr, %[pixels]\n\t"
        "1: vpstt\n\t"
        "vldrbt.u8 q0, [%[source]]\n\t"
        "vstrbt.8 q0, [%[goal]]\n\t"
        "add %[source], %[source], %[from_step]\n\t"
        "add %[goal], %[goal], %[to_step]\n\t"
        "le lr, 1b\n\t"
        : [source] "+r"(source), [goal] "+r"(goal)
        : [rest] "r"(depth - slice), [pixels] "r"(pixels), [from_step] "r"(from_step), [to_step] "r"(to_step)
        : "lr", "q0", "memory");
    from += from_step == 0 ? 0 : EP_VECTOR;
  }
}

#endif /* EP_MVE_H */
