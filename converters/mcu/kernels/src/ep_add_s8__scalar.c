#include "ep_scalar.h"

/* The input with the larger scale counts half: x * 2^20 / 2 is exact, so one rounding is left. */
void ep_add_s8__scalar(const ep_add_right *op, const int8_t *first, const int8_t *second, int8_t *output) {
  const ep_add_right q = *op;
  for (int32_t i = 0; i < q.size; ++i) {
    const int32_t high = ep_high_mul(q.second_bias + second[i] * (1 << 21), q.second_multiplier);
    const int32_t sum = (high + (high >> 31) + q.second_half) >> q.second_shift;
    output[i] = ep_finish(2 * sum + q.first_bias + first[i] * (1 << 20), q.multiplier, q.rounding, q.shift);
  }
  ep_bound(output, q.size, q.activation_min, q.activation_max);
}
