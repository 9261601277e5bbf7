/* The kernels for cores with Helium (Cortex-M55, M85), and the constants they take.
 *
 * What a kernel needs of an output channel lies beside its weights, in blocks that it reads from front to back:
 *   the bias, with the input's offset folded in;
 *   the multiplier, Q0.31;
 *   minus the shift to the right, -31 to -1.
 */
#ifndef EP_KERNELS_MVE_H
#define EP_KERNELS_MVE_H

#include "ep_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CONV_2D with a dilation of 1 along rows; weights: per four output channels (padded with zeros) [vectors][4][16]
 * weights, a channel's in the order [width][height][in], then [4] of bias, multiplier, shift. */
typedef struct {
  ep_window window;
  const uint32_t *weights;
  int32_t vectors;     /* of sixteen inputs that a kernel takes */
  int32_t rows, width; /* of outputs at a time: one row, or part of it; or several whole rows */
  int32_t line_bytes;  /* of a row's inputs in scratch; 0: kernels are whole vectors in the input, nothing is copied */
  int32_t in_place;    /* the output may be the input; only where line_bytes is 0 */
  int32_t zero_point;
  int32_t output_offset;
  int32_t activation_min, activation_max;
} ep_conv_2d_vectors;

/* scratch: 16 bytes, the lines, 16 bytes; where nothing is copied, 32 bytes a vector if in place. */
void ep_conv_2d_s8__mve(const ep_conv_2d_vectors *op, const int8_t *input, int8_t *output, void *scratch);

/* FULLY_CONNECTED with one factor for all channels; weights: per eight output channels (padded with zeros), in the
 * order 0, 2, 4, 6, 1, 3, 5, 7, [vectors][8][16] weights, then [8] biases. */
typedef struct {
  const uint32_t *weights;
  int32_t rows, input_size, output_size;
  int32_t vectors; /* of sixteen inputs */
  int32_t multiplier, shift;
  int32_t output_offset;
  int32_t activation_min, activation_max;
} ep_fully_connected_vectors;

/* scratch: 16 bytes a vector; not read where rows are whole vectors. */
void ep_fully_connected_s8__mve(const ep_fully_connected_vectors *op, const int8_t *input, int8_t *output,
                                void *scratch);

/* DEPTHWISE_CONV_2D with as many outputs as inputs, a multiple of four, and a kernel of up to 4x4; weights: a word of
 * zeros, then per four channels [4][4][4] weights (channel, column, row, padded with zeros), [4] of bias, multiplier,
 * shift, and a word of zeros. */
typedef struct {
  ep_window window;
  const uint32_t *weights;
  int32_t columns; /* of the input, with its padding, that a row of outputs reads */
  int32_t in_place; /* the output may be the input: a row has one above it, at most, and scratch for that */
  int32_t two_rows; /* of outputs at a time: the kernel has at most three rows, and moves by one */
  int32_t zero_point;
  int32_t output_offset;
  int32_t activation_min, activation_max;
} ep_depthwise_vectors;

/* scratch: 16 bytes, 64 a column and 64 for each that the kernel lacks of four; then a row if in place. */
void ep_depthwise_conv_2d_s8__mve(const ep_depthwise_vectors *op, const int8_t *input, int8_t *output, void *scratch);

/* ADD where the first input has the larger scale. Biases: sixteen times the inputs' offsets. */
typedef struct {
  int32_t size;
  int32_t first_bias, second_bias;
  int32_t second_multiplier, second_shift;
  int32_t multiplier, shift;
  int32_t output_offset;
  int32_t activation_min, activation_max;
} ep_add_vectors;

void ep_add_s8__mve(const ep_add_vectors *op, const int8_t *first, const int8_t *second, int8_t *output);

/* AVERAGE_POOL_2D of up to 255 elements. */
void ep_average_pool_2d_s8__mve(const ep_pool_2d *op, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_KERNELS_MVE_H */
