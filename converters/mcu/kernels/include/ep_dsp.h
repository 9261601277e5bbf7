/* What the kernels for cores with the DSP extension (Cortex-M4, M7, M33) share.
 *
 * Weights are packed when the model is compiled: two output channels A and B lie in each 16-bit lane as
 * 256 A + B. One SMLAD on the word accumulates 256 sum(A x) + sum(B x), one on its sign-extended low bytes
 * (SXTB16) accumulates sum(B x): four multiply-accumulates cost one load, one unpack and two SMLAD. It is
 * exact as long as 128 sum|A| < 2^23, which the compiler has checked for every channel.
 *
 * Inputs are int16 lanes in the order in which SXTB16 unpacks a word of four: (0, 2), (1, 3).
 *
 * The loops are functions in assembly: they need all fourteen registers, which no operand list may ask for.
 */
#ifndef EP_DSP_H
#define EP_DSP_H

#include <stdint.h>
#include <string.h>

#include "ep_assembly.h"
#include "ep_kernels.h"

/* Twice an accumulator to an output: TFLite's two roundings (README.md, "Rounding"), offset, int8. */
#define EP_FINISH(acc, multiplier, rounding, shift)      \
  "smmulr " acc ", " acc ", " multiplier "\n\t"          \
  "add " acc ", " acc ", " acc ", asr #31\n\t"           \
  "add " acc ", " acc ", " rounding "\n\t"               \
  "asr " acc ", " acc ", " shift "\n\t"                  \
  "ssat " acc ", #8, " acc "\n\t"

/* Four bytes into the word of the first. */
#define EP_JOIN(a, b, c, d)            \
  "bfi " a ", " b ", #8, #8\n\t"       \
  "bfi " a ", " c ", #16, #8\n\t"      \
  "bfi " a ", " d ", #24, #8\n\t"

static inline uint32_t ep_sxtb16(uint32_t x) {
  uint32_t lanes;
  __asm__("sxtb16 %0, %1" : "=r"(lanes) : "r"(x));
  return lanes;
}

static inline uint32_t ep_sxtb16_ror8(uint32_t x) {
  uint32_t lanes;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(lanes) : "r"(x));
  return lanes;
}

static inline uint32_t ep_load(const int8_t *from) {
  uint32_t four;
  memcpy(&four, from, 4);
  return four;
}

/* memcpy for short runs: the library's is a call, and byte by byte where it is built for size. */
static inline void ep_copy(int8_t *to, const int8_t *from, int32_t count) {
  for (; count >= 4; count -= 4, to += 4, from += 4) {
    memcpy(to, from, 4);
  }
  for (; count > 0; --count) {
    *to++ = *from++;
  }
}

static inline void ep_fill(int8_t *to, int8_t value, int32_t count) {
  const uint32_t four = (uint8_t)value * 0x01010101U;
  for (; count >= 4; count -= 4, to += 4) {
    memcpy(to, &four, 4);
  }
  for (; count > 0; --count) {
    *to++ = value;
  }
}

/* The bounds of a fused activation, where they are not those of int8. */
static inline void ep_bound(int8_t *x, int32_t count, int32_t low, int32_t high) {
  if (low > INT8_MIN || high < INT8_MAX) {
    for (; count > 0; --count, ++x) {
      *x = (int8_t)ep_clamp(*x, low, high);
    }
  }
}

#endif /* EP_DSP_H */
