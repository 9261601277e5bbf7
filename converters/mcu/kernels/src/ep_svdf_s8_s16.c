#include "ep_kernels.h"

/* Source: TFLite Micro svdf_common.cc, EvalIntegerSvdfReference; sums do not depend on their order. */
void ep_svdf_s8_s16(const ep_svdf_of_s8_s16 *op, const int8_t *input, int16_t *state, int8_t *output) {
  for (int32_t batch = 0; batch < op->batches; ++batch, input += op->inputs) {
    const int8_t *features = op->features;
    const int16_t *time = op->time;
    for (int32_t unit = 0; unit < op->units; ++unit) {
      int32_t sum = op->bias[unit];
      for (int32_t filter = 0; filter < op->rank; ++filter) {
        int32_t feature = 0;
        for (int32_t i = 0; i < op->inputs; ++i) {
          feature += *features++ * (input[i] + op->input_offset);
        }
        feature = ep_requantize(feature, op->state_multiplier, op->state_shift);
        for (int32_t i = 0; i < op->memory - 1; ++i) {
          state[i] = state[i + 1];
          sum += *time++ * state[i];
        }
        state[op->memory - 1] = (int16_t)ep_clamp(feature, INT16_MIN, INT16_MAX);
        sum += *time++ * state[op->memory - 1];
        state += op->memory;
      }
      const int32_t result = ep_requantize(sum, op->output_multiplier, op->output_shift) + op->output_offset;
      *output++ = (int8_t)ep_clamp(result, INT8_MIN, INT8_MAX);
    }
  }
}
