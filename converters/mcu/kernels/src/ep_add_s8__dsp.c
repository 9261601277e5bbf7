#include "ep_dsp.h"

/* Byte `at` of a word, from its sign. */
#define BYTE(x, at) ((int32_t)(int8_t)(uint8_t)((x) >> (8 * (at))))

/* The input with the larger scale counts half: x * 2^20 / 2 is exact, so one rounding is left. The other one is
 * rounded twice, |x| <= 255, so x * 2^21 fits; where both scales are equal (second_shift 0) it is exact too. */
static inline int32_t add(const ep_add_right *op, int32_t first, int32_t second) {
  int32_t sum = op->second_bias + second * (1 << 21);
  __asm__("smmulr %0, %1, %2" : "=r"(sum) : "r"(sum), "r"(op->second_multiplier));
  sum = (sum + (sum >> 31) + op->second_half) >> op->second_shift;
  sum = sum * 2 + op->first_bias + first * (1 << 20);
  __asm__("smmulr %0, %1, %2" : "=r"(sum) : "r"(sum), "r"(op->multiplier));
  sum = (sum + (sum >> 31) + op->rounding) >> op->shift;
  __asm__("ssat %0, #8, %1" : "=r"(sum) : "r"(sum));
  return sum;
}

void ep_add_s8__dsp(const ep_add_right *op, const int8_t *first, const int8_t *second, int8_t *output) {
  const ep_add_right q = *op;
  int32_t i = 0;
  for (; i + 4 <= q.size; i += 4) {
    const uint32_t a = ep_load(first + i), b = ep_load(second + i);
    const uint32_t sum_0 = (uint32_t)add(&q, BYTE(a, 0), BYTE(b, 0)) & 0xFF;
    const uint32_t sum_1 = (uint32_t)add(&q, BYTE(a, 1), BYTE(b, 1)) & 0xFF;
    const uint32_t sum_2 = (uint32_t)add(&q, BYTE(a, 2), BYTE(b, 2)) & 0xFF;
    const uint32_t sums = sum_0 | sum_1 << 8 | sum_2 << 16 | (uint32_t)add(&q, BYTE(a, 3), BYTE(b, 3)) << 24;
    memcpy(output + i, &sums, 4);
  }
  for (; i < q.size; ++i) {
    output[i] = (int8_t)add(&q, first[i], second[i]);
  }
  ep_bound(output, q.size, q.activation_min, q.activation_max);
}
