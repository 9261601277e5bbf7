#include "ep_dsp.h"

/* The input with the larger scale counts half: x * 2^20 / 2 is exact, so one rounding is left. The other one is
 * rounded twice, |x| <= 255, so x * 2^21 fits; where both scales are equal (second_shift 0) it is exact too. */
void ep_add_s8__dsp(const ep_add_right *op, const int8_t *first, const int8_t *second, int8_t *output) {
  const int32_t multiplier = op->second_multiplier, half = op->second_half, shift = op->second_shift;
  for (int32_t i = 0; i < op->size; ++i) {
    int32_t sum = (second[i] + op->second_offset) * (1 << 21);
    if (shift == 0) {
      sum >>= 2;
    } else {
      __asm__("smmulr %0, %1, %2" : "=r"(sum) : "r"(sum), "r"(multiplier));
      sum = (sum + half + (sum >> 31)) >> shift;
    }
    sum += (first[i] + op->first_offset) * (1 << 19);
    output[i] = ep_finish(sum, &op->output, op->output_offset, op->activation_min);
  }
}
