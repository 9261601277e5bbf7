/* The kernels for cores with a long multiply-accumulate and without the DSP extension (Cortex-M3; M33 without it). */
#ifndef EP_KERNELS_M3_H
#define EP_KERNELS_M3_H

#include "ep_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CONV_2D; weights: per two output channels A and B (padded with zeros) [inputs] of bytes A, B, then [2] of twice
 * the bias, multiplier, rounding, shift as in ep_channel_right. */
typedef struct {
  ep_window window;
  const uint32_t *weights;
  int32_t inputs; /* of a kernel, padded with zeros to a multiple of four */
  int32_t zero_point;
  int32_t activation_min, activation_max;
} ep_conv_2d_long;

/* scratch: 8 bytes an input, then a byte an input channel. */
void ep_conv_2d_s8__m3(const ep_conv_2d_long *op, const int8_t *input, int8_t *output, void *scratch);

/* DEPTHWISE_CONV_2D with as many outputs as inputs, a multiple of four; weights: per four channels [taps] of four
 * bytes, then [4] of twice the bias, multiplier, rounding, shift. */
typedef struct {
  ep_window window;
  const uint32_t *weights;
  int32_t taps; /* padded with zeros to a multiple of three */
  int32_t zero_point;
  int32_t activation_min, activation_max;
} ep_depthwise_fours;

/* scratch: a pointer a tap, then a byte a channel. */
void ep_depthwise_conv_2d_s8__m3(const ep_depthwise_fours *op, const int8_t *input, int8_t *output, void *scratch);

/* FULLY_CONNECTED with one factor for all channels; weights: per eight output channels (padded with zeros) [inputs]
 * of two words of four weights, the first three of each word plus 128, then [8] of twice the bias. */
typedef struct {
  const uint32_t *weights;
  int32_t rows, input_size, output_size; /* input_size: a multiple of four */
  int32_t multiplier, rounding, shift;
  int32_t activation_min, activation_max;
} ep_fully_connected_bytes;

void ep_fully_connected_s8__m3(const ep_fully_connected_bytes *op, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_KERNELS_M3_H */
