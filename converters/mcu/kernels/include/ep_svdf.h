/* SVDF: layers that keep the last outputs of their filters.
 *
 * A unit has `rank` filters. Each filter turns the input into one feature, puts it behind the `memory - 1` last
 * ones and weighs them by time; the unit is the sum of its filters.
 */
#ifndef EP_SVDF_H
#define EP_SVDF_H

#include <stdint.h>

#include "ep_symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

/* int8 with a state of int8; features [units][rank][inputs], time [units][rank][memory]. */
typedef struct {
  const int8_t *features;
  const int8_t *time;
  const int32_t *bias; /* [units] */
  int32_t batches, inputs, units, rank, memory;
  int32_t input_offset, output_offset;
  int32_t state_multiplier, state_shift;
  int32_t output_multiplier, output_shift;
} ep_svdf_of_s8_s8;

/* state [batches][units][rank][memory], kept by the caller from one run to the next. */
void ep_svdf_s8_s8(const ep_svdf_of_s8_s8 *op, const int8_t *input, int8_t *state, int8_t *output);

/* int8 with a state of int16. */
typedef struct {
  const int8_t *features;
  const int16_t *time;
  const int32_t *bias;
  int32_t batches, inputs, units, rank, memory;
  int32_t input_offset, output_offset;
  int32_t state_multiplier, state_shift;
  int32_t output_multiplier, output_shift;
} ep_svdf_of_s8_s16;

void ep_svdf_s8_s16(const ep_svdf_of_s8_s16 *op, const int8_t *input, int16_t *state, int8_t *output);

typedef struct {
  const float *features;
  const float *time;
  const float *bias;
  int32_t batches, inputs, units, rank, memory;
  float activation_min, activation_max;
} ep_svdf_of_f32;

void ep_svdf_f32(const ep_svdf_of_f32 *op, const float *input, float *state, float *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_SVDF_H */
