#include "ep_exponential.h"

/* Source: TFLite reference/softmax.h, Softmax for integers. */
void ep_softmax_s8(const ep_softmax *op, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < op->rows; ++row, input += op->depth, output += op->depth) {
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < op->depth; ++i) {
      largest = input[i] > largest ? input[i] : largest;
    }
    int32_t sum = 0; /* Q12.19 */
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t diff = input[i] - largest;
      if (diff >= op->diff_min) {
        sum += ep_rounding_shift_right(ep_exp_of_negative(ep_scaled_difference(op, diff)), EP_SUM_INTEGER_BITS);
      }
    }
    const int32_t headroom = ep_leading_zeros((uint32_t)sum);
    const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - 0x80000000U);
    const int32_t scale = ep_reciprocal_of_one_plus(fraction);
    const int32_t shift = EP_SUM_INTEGER_BITS - headroom + 31 - 8;
    for (int32_t i = 0; i < op->depth; ++i) {
      const int32_t diff = input[i] - largest;
      int32_t value = INT8_MIN;
      if (diff >= op->diff_min) {
        const int32_t product = ep_doubling_high_mul(scale, ep_exp_of_negative(ep_scaled_difference(op, diff)));
        value = ep_clamp(ep_rounding_shift_right(product, shift) + INT8_MIN, INT8_MIN, INT8_MAX);
      }
      output[i] = (int8_t)value;
    }
  }
}
