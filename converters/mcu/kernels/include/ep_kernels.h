/* The kernels that generated models call. Tensors are NHWC; no kernel allocates, none keeps state.
 *
 * Every kernel takes its constants as one struct, which the generated model holds in flash, then its inputs,
 * then its output.
 */
#ifndef EP_KERNELS_H
#define EP_KERNELS_H

#include <stdint.h>

#include "ep_symbols.h"

#include "ep_fixed_point.h"
#include "ep_arithmetic.h"
#include "ep_lstm.h"
#include "ep_movement.h"
#include "ep_svdf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The window of a convolution or pooling; all sizes in elements. */
typedef struct {
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t padding_top, padding_left;
} ep_window;

/* CONV_2D and DEPTHWISE_CONV_2D, int8; weights [out][height][width][in] or, depthwise, [height][width][out]. */
typedef struct {
  ep_window window;
  const int8_t *weights;
  const ep_channel *channels;
  int32_t input_offset, output_offset; /* minus the input's, plus the output's zero point */
  int32_t activation_min, activation_max;
} ep_conv_2d;

void ep_conv_2d_s8(const ep_conv_2d *op, const int8_t *input, int8_t *output);
void ep_depthwise_conv_2d_s8(const ep_conv_2d *op, const int8_t *input, int8_t *output);
void ep_transpose_conv_s8(const ep_conv_2d *op, const int8_t *input, int8_t *output);

/* FULLY_CONNECTED, int8; weights [out][in]. */
typedef struct {
  const int8_t *weights;
  const ep_channel *channels;
  int32_t rows, input_size, output_size;
  int32_t input_offset, output_offset;
  int32_t activation_min, activation_max;
} ep_fully_connected;

void ep_fully_connected_s8(const ep_fully_connected *op, const int8_t *input, int8_t *output);

/* AVERAGE_POOL_2D and MAX_POOL_2D, int8. */
typedef struct {
  ep_window window;
  int32_t activation_min, activation_max;
} ep_pool_2d;

void ep_average_pool_2d_s8(const ep_pool_2d *op, const int8_t *input, int8_t *output);
void ep_max_pool_2d_s8(const ep_pool_2d *op, const int8_t *input, int8_t *output);

/* ADD of two tensors of one shape, int8; the output may be either input. */
typedef struct {
  int32_t size;
  int32_t left_shift;
  int32_t offset_1, multiplier_1, shift_1;
  int32_t offset_2, multiplier_2, shift_2;
  int32_t output_offset, output_multiplier, output_shift;
  int32_t activation_min, activation_max;
} ep_add;

void ep_add_s8(const ep_add *op, const int8_t *input_1, const int8_t *input_2, int8_t *output);

/* SOFTMAX over the last dimension, int8; the output may be the input. */
typedef struct {
  int32_t rows, depth;
  int32_t multiplier, left_shift, diff_min;
} ep_softmax;

void ep_softmax_s8(const ep_softmax *op, const int8_t *input, int8_t *output);
void ep_softmax_s8_s16(const ep_softmax *op, const int8_t *input, int16_t *output);

#ifdef __cplusplus
}
#endif

#include "ep_kernels_dsp.h"
#include "ep_kernels_m3.h"
#include "ep_kernels_mve.h"
#include "ep_kernels_scalar.h"

#endif /* EP_KERNELS_H */
