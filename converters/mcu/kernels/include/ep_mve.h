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
 * negative makes that away from zero. shift: a vector of -31 to -1. */
#define EP_ROUND(x, temporary, shift)                          \
  "vshr.s32 " temporary ", " x ", #31\n\t"                     \
  "vadd.i32 " x ", " x ", " temporary "\n\t"                   \
  "vrshl.s32 " x ", " x ", " shift "\n\t"

/* memcpy and memset for short runs, without a call. */
static inline void ep_copy(int8_t *to, const int8_t *from, int32_t count) {
  for (; count >= EP_VECTOR; count -= EP_VECTOR, to += EP_VECTOR, from += EP_VECTOR) {
    vstrbq_s8(to, vldrbq_s8(from));
  }
  if (count > 0) {
    const mve_pred16_t rest = vctp8q((uint32_t)count);
    vstrbq_p_s8(to, vldrbq_z_s8(from, rest), rest);
  }
}

static inline void ep_fill(int8_t *to, int8_t value, int32_t count) {
  const int8x16_t all = vdupq_n_s8(value);
  for (; count >= EP_VECTOR; count -= EP_VECTOR, to += EP_VECTOR) {
    vstrbq_s8(to, all);
  }
  if (count > 0) {
    vstrbq_p_s8(to, all, vctp8q((uint32_t)count));
  }
}

#endif /* EP_MVE_H */
