#include "ep_kernels.h"

/* Each filter is summed on its own before it is added, as TFLite does, so that the sums round alike.
 * Source: TFLite Micro svdf_common.cc, EvalFloatSvdfReference. */
void ep_svdf_f32(const ep_svdf_of_f32 *op, const float *input, float *state, float *output) {
  for (int32_t batch = 0; batch < op->batches; ++batch, input += op->inputs) {
    const float *features = op->features, *time = op->time;
    for (int32_t unit = 0; unit < op->units; ++unit) {
      float sum = op->bias[unit];
      for (int32_t filter = 0; filter < op->rank; ++filter, state += op->memory) {
        float feature = 0.0f, weighted = 0.0f;
        for (int32_t i = 0; i < op->inputs; ++i) {
          feature += *features++ * input[i];
        }
        for (int32_t i = 0; i < op->memory; ++i) {
          state[i] = i < op->memory - 1 ? state[i + 1] : feature;
          weighted += *time++ * state[i];
        }
        sum += weighted;
      }
      sum = sum < op->activation_min ? op->activation_min : sum;
      *output++ = sum > op->activation_max ? op->activation_max : sum;
    }
  }
}
