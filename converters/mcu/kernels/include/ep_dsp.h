/* What the kernels for cores with the DSP extension (Cortex-M4, M7, M33) share.
 *
 * Weights are packed when the model is compiled: two output channels A and B lie in each 16-bit lane as
 * 256 A + B. One SMLAD on the word accumulates 256 sum(A x) + sum(B x), one on its sign-extended low bytes
 * (SXTB16) accumulates sum(B x): four multiply-accumulates cost one load, one unpack and two SMLAD. It is
 * exact as long as 128 sum|A| < 2^23, which the compiler has checked for every channel.
 *
 * Inputs are int16 lanes in the order in which SXTB16 unpacks a word of four: (0, 2), (1, 3).
 */
#ifndef EP_DSP_H
#define EP_DSP_H

#include <stdint.h>
#include <string.h>

#include "ep_kernels.h"

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

static inline int32_t ep_smlad(uint32_t a, uint32_t b, int32_t acc) {
  int32_t sum;
  __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
  return sum;
}

/* Loads two words and moves the pointer behind them. */
#define EP_LOAD_2(first, second, pointer) \
  __asm__("ldrd %0, %1, [%2], #8" : "=&r"(first), "=&r"(second), "+&r"(pointer) : "m"(*(const uint32_t(*)[2])(pointer)))

/* As ep_requantize, for |x| < 2^30 and a shift to the right by at least 1; half is 2^(shift - 1). */
static inline int32_t ep_requantize_right(int32_t x, int32_t multiplier, int32_t half, int32_t shift) {
  int32_t high;
  __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(x * 2), "r"(multiplier));
  return (high + half + (high >> 31)) >> shift;
}

/* An output of a channel: rescaled, moved to its zero point, clamped to int8 and from below. */
static inline int8_t ep_finish(int32_t acc, const ep_channel_right *q, int32_t offset, int32_t low) {
  int32_t value = ep_requantize_right(acc + q->bias, q->multiplier, q->half, q->shift) + offset;
  __asm__("ssat %0, #8, %1" : "=r"(value) : "r"(value));
  return (int8_t)(value < low ? low : value);
}

/* memcpy for short runs: the library's is a call, and byte by byte where it is built for size. */
static inline void ep_copy(int8_t *to, const int8_t *from, int32_t count) {
  for (; count >= 8; count -= 8, to += 8, from += 8) {
    memcpy(to, from, 8);
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

#endif /* EP_DSP_H */
