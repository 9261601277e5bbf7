/* The kernels for cores with the DSP extension (Cortex-M4, M7, M33), and the constants they take.
 *
 * What a kernel needs of an output channel lies beside its weights, in blocks that it reads from front to back:
 *   twice the bias, with the input's offset folded in;
 *   the multiplier, Q0.31;
 *   what is added before the last shift: half of 2^shift for rounding, and the output's offset times 2^shift;
 *   the shift to the right, 1 to 22.
 */
#ifndef EP_KERNELS_DSP_H
#define EP_KERNELS_DSP_H

#include "ep_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CONV_2D; weights: per four output channels (padded with zeros) [2 * words][2] packed words (ep_dsp.h), then
 * [4] of bias, multiplier, rounding, shift. */
typedef struct {
  ep_window window;
  const uint32_t *weights;
  int32_t words;   /* of four inputs: a kernel's inputs, or their runs along a row where each is whole words */
  int32_t by_rows; /* a row of the kernel is whole words */
  int32_t zero_point;
  int32_t activation_min, activation_max;
} ep_conv_2d_packed;

/* scratch: 16 bytes a word, then the words of the kernel, or of one of its rows. */
void ep_conv_2d_s8__dsp(const ep_conv_2d_packed *op, const int8_t *input, int8_t *output, void *scratch);

/* DEPTHWISE_CONV_2D with as many outputs as inputs, a multiple of four; weights: per four channels [4] biases,
 * [taps][2] doubled weights of channels (0, 2) and (1, 3), then [4] of multiplier, rounding, shift. */
typedef struct {
  ep_window window;
  const uint32_t *weights;
  int32_t taps; /* padded with zeros to a multiple of three */
  int32_t zero_point;
  int32_t activation_min, activation_max;
} ep_depthwise_packed;

/* scratch: a pointer a tap, then a byte a channel. */
void ep_depthwise_conv_2d_s8__dsp(const ep_depthwise_packed *op, const int8_t *input, int8_t *output, void *scratch);

/* FULLY_CONNECTED; weights: per eight output channels [words][4][2] packed words, then twice the bias of each; with
 * one factor for all channels the last one to four are a block of four. With factors per channel: blocks of eight,
 * then [8] of bias, multiplier, rounding, shift. */
typedef struct {
  const uint32_t *weights;
  int32_t rows, words, output_size;
  int32_t per_channel;
  int32_t multiplier, rounding, shift; /* of all channels, or 0 */
  int32_t activation_min, activation_max;
} ep_fully_connected_packed;

void ep_fully_connected_s8__dsp(const ep_fully_connected_packed *op, const int8_t *input, int8_t *output);

/* ADD where the first input has the larger scale. Biases: the inputs' offsets times 2^20 and 2^21. */
typedef struct {
  int32_t size;
  int32_t first_bias, second_bias;
  int32_t second_multiplier, second_half, second_shift;
  int32_t multiplier, rounding, shift;
  int32_t activation_min, activation_max;
} ep_add_right;

void ep_add_s8__dsp(const ep_add_right *op, const int8_t *first, const int8_t *second, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_KERNELS_DSP_H */
