#include "ep_dsp.h"

/* Four inputs times four channels: sixteen multiply-accumulates. */
#define STEP                             \
  "ldrd %[a0], %[a1], [%[x]], #8\n\t"    \
  "ldrd %[w0], %[w1], [%[w]], #8\n\t"    \
  "smlad %[p], %[w0], %[a0], %[p]\n\t"   \
  "sxtb16 %[w0], %[w0]\n\t"              \
  "smlad %[p], %[w1], %[a1], %[p]\n\t"   \
  "sxtb16 %[w1], %[w1]\n\t"              \
  "smlad %[q], %[w0], %[a0], %[q]\n\t"   \
  "smlad %[q], %[w1], %[a1], %[q]\n\t"   \
  "ldrd %[w0], %[w1], [%[w]], #8\n\t"    \
  "smlad %[r], %[w0], %[a0], %[r]\n\t"   \
  "sxtb16 %[w0], %[w0]\n\t"              \
  "smlad %[r], %[w1], %[a1], %[r]\n\t"   \
  "sxtb16 %[w1], %[w1]\n\t"              \
  "smlad %[s], %[w0], %[a0], %[s]\n\t"   \
  "smlad %[s], %[w1], %[a1], %[s]\n\t"

#define OPERANDS                                                                                      \
  [p] "+r"(p), [q] "+r"(q), [r] "+r"(r), [s] "+r"(s), [w] "+r"(weights), [x] "+r"(x), [w0] "=&r"(w0), \
      [w1] "=&r"(w1), [a0] "=&r"(a0), [a1] "=&r"(a1)

/* The inputs as lanes, once for all channels. */
static void unpack(const int8_t *input, int32_t words, uint32_t *lanes) {
  for (int32_t i = 0; i < words; ++i) {
    uint32_t four;
    memcpy(&four, input + 4 * i, 4);
    *lanes++ = ep_sxtb16(four);
    *lanes++ = ep_sxtb16_ror8(four);
  }
}

void ep_fully_connected_s8__dsp(const ep_fully_connected_packed *op, const int8_t *input, int8_t *output, void *scratch) {
  uint32_t *const lanes = (uint32_t *)scratch;
  const uint32_t *const end = lanes + 2 * op->words;
  const int32_t offset = op->output_offset, low = op->activation_min;
  ep_channel_right channel = {0, op->multiplier, op->half, op->shift};
  for (int32_t row = 0; row < op->rows; ++row, input += 4 * op->words) {
    const uint32_t *weights = op->weights;
    const int32_t *bias = op->biases;
    unpack(input, op->words, lanes);
    for (int32_t left = op->output_size; left > 0; left -= 4) {
      const uint32_t *x = lanes;
      int32_t p = 0, q = 0, r = 0, s = 0;
      uint32_t w0, w1, a0, a1;
      if (op->words & 1) {
        __asm__ volatile(STEP : OPERANDS : : "memory");
      }
      if (op->words > 1) {
        __asm__ volatile("1:\n\t" STEP STEP "cmp %[x], %[end]\n\tbne 1b\n\t" : OPERANDS : [end] "r"(end) : "memory", "cc");
      }
      const int32_t sums[4] = {(p - q) >> 8, q, (r - s) >> 8, s};
      for (int32_t i = 0; i < 4 && i < left; ++i) {
        channel.bias = *bias++;
        *output++ = ep_finish(sums[i], &channel, offset, low);
      }
    }
  }
}
