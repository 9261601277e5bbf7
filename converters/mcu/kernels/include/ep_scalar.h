/* What the kernels in plain C for small cores share. */
#ifndef EP_SCALAR_H
#define EP_SCALAR_H

#include <stdint.h>

#include "ep_kernels.h"

/* round(a * b / 2^32), ties up; b >= 0. */
static inline int32_t ep_high_mul(int32_t a, int32_t b) {
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
  /* Without a long multiply, 64-bit products are a call: four products of halves instead. */
  const uint32_t a_low = (uint32_t)a & 0xFFFFU, b_low = (uint32_t)b & 0xFFFFU;
  const int32_t a_high = a >> 16, b_high = b >> 16;
  const int32_t left = a_high * (int32_t)b_low, right = (int32_t)(a_low * (uint32_t)b_high);
  const uint32_t middle = (a_low * b_low >> 16) + ((uint32_t)left & 0xFFFFU) + ((uint32_t)right & 0xFFFFU);
  return a_high * b_high + (left >> 16) + (int32_t)((uint32_t)right >> 16) + (int32_t)((middle + 0x8000U) >> 16);
#else
  const int64_t product = (int64_t)a * b;
  return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

static inline int32_t ep_saturate_8(int32_t x) {
#if defined(__ARM_FEATURE_SAT)
  __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
  return x;
#else
  return ep_clamp(x, INT8_MIN, INT8_MAX);
#endif
}

/* Twice an accumulator to an output: TFLite's two roundings (README.md, "Rounding"), offset, int8. */
static inline int8_t ep_finish(int32_t doubled, int32_t multiplier, int32_t rounding, int32_t shift) {
  const int32_t high = ep_high_mul(doubled, multiplier);
  return (int8_t)ep_saturate_8((high + (high >> 31) + rounding) >> shift);
}

static inline int8_t ep_finish_channel(int32_t acc, const ep_channel_right *q) {
  return ep_finish(2 * acc + q->doubled_bias, q->multiplier, q->rounding, q->shift);
}

/* The bounds of a fused activation, where they are not those of int8. */
static inline void ep_bound(int8_t *x, int32_t count, int32_t low, int32_t high) {
  if (low > INT8_MIN || high < INT8_MAX) {
    for (; count > 0; --count, ++x) {
      *x = (int8_t)ep_clamp(*x, low, high);
    }
  }
}

#endif /* EP_SCALAR_H */
