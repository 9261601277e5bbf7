/* The kernels for cores with neither vectors nor the DSP extension (Cortex-M0+, M3, RISC-V), in plain C, and the
 * constants they take. The input's offset is folded into the biases.
 */
#ifndef EP_KERNELS_SCALAR_H
#define EP_KERNELS_SCALAR_H

#include "ep_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What turns twice an accumulator of an output channel into an output. */
typedef struct {
  int32_t doubled_bias;
  int32_t multiplier; /* Q0.31 */
  int32_t rounding;   /* half of 2^shift, and the output's offset times 2^shift */
  int32_t shift;      /* to the right, 1 to 22 */
} ep_channel_right;

/* CONV_2D; weights: per two output channels A and B (padded with zeros) [pairs] of A, A, B, B for two inputs. */
typedef struct {
  ep_window window;
  const int8_t *weights;
  const ep_channel_right *channels;
  int32_t pairs; /* of a kernel's inputs, padded with zeros to an even number */
  int32_t zero_point;
  int32_t activation_min, activation_max;
} ep_conv_2d_paired;

/* scratch: 8 bytes a pair, then a byte an input channel. */
void ep_conv_2d_s8__scalar(const ep_conv_2d_paired *op, const int8_t *input, int8_t *output, void *scratch);

/* DEPTHWISE_CONV_2D with as many outputs as inputs; weights: [channels][taps]. */
typedef struct {
  ep_window window;
  const int8_t *weights;
  const ep_channel_right *channels;
  int32_t taps; /* padded with zeros to a multiple of three */
  int32_t zero_point;
  int32_t activation_min, activation_max;
} ep_depthwise_threes;

/* scratch: a pointer a tap, then a byte a channel. */
void ep_depthwise_conv_2d_s8__scalar(const ep_depthwise_threes *op, const int8_t *input, int8_t *output, void *scratch);

/* FULLY_CONNECTED; weights: per four output channels (padded) [inputs][4]. */
typedef struct {
  const int8_t *weights;
  const ep_channel_right *channels; /* or one for all channels; then the biases are apart */
  const int32_t *doubled_biases;    /* NULL where there are factors per channel */
  int32_t per_channel;
  int32_t rows, input_size, output_size;
  int32_t activation_min, activation_max;
} ep_fully_connected_fours;

void ep_fully_connected_s8__scalar(const ep_fully_connected_fours *op, const int8_t *input, int8_t *output);

/* ADD where the first input has the larger scale; as ep_add_s8__dsp. */
void ep_add_s8__scalar(const ep_add_right *op, const int8_t *first, const int8_t *second, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_KERNELS_SCALAR_H */
