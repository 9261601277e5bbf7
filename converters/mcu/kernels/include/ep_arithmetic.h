/* Kernels of elementwise arithmetic: tables, operators of two inputs with broadcasting, reductions. */
#ifndef EP_ARITHMETIC_H
#define EP_ARITHMETIC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any operator of one 8-bit input: table[x] is the output of x, read as an unsigned byte. In place. */
typedef struct {
  const int8_t *table;
  int32_t size;
} ep_lookup;

void ep_lookup_8(const ep_lookup *op, const void *input, void *output);

/* How two inputs are spread over an output: four nested loops, outermost first, and what each input steps by
 * in them, in elements: 0 where it is repeated. */
typedef struct {
  int32_t size_0, size_1, size_2, size_3;
  int32_t first_0, first_1, first_2, first_3;
  int32_t second_0, second_1, second_2, second_3;
} ep_broadcast;

/* Runs the body once for each element of the output, in order, with `x` and `y` the elements of the inputs. */
#define EP_FOR_EACH_PAIR(loops, type, input_1, input_2, body)                                          \
  for (int32_t i0 = 0; i0 < (loops)->size_0; ++i0) {                                                   \
    for (int32_t i1 = 0; i1 < (loops)->size_1; ++i1) {                                                 \
      for (int32_t i2 = 0; i2 < (loops)->size_2; ++i2) {                                               \
        int32_t at_1 = i0 * (loops)->first_0 + i1 * (loops)->first_1 + i2 * (loops)->first_2;          \
        int32_t at_2 = i0 * (loops)->second_0 + i1 * (loops)->second_1 + i2 * (loops)->second_2;       \
        for (int32_t i3 = 0; i3 < (loops)->size_3; ++i3) {                                             \
          const type x = (input_1)[at_1], y = (input_2)[at_2];                                         \
          body                                                                                         \
          at_1 += (loops)->first_3;                                                                    \
          at_2 += (loops)->second_3;                                                                   \
        }                                                                                              \
      }                                                                                                \
    }                                                                                                  \
  }

/* ADD and SUB with broadcasting, int8 and int16; the members behind the loops are those of ep_add. */
typedef struct {
  ep_broadcast loops;
  int32_t left_shift;
  int32_t offset_1, multiplier_1, shift_1;
  int32_t offset_2, multiplier_2, shift_2;
  int32_t output_offset, output_multiplier, output_shift;
  int32_t activation_min, activation_max;
} ep_add_broadcast;

/* MUL, int8 and int16. */
typedef struct {
  ep_broadcast loops;
  int32_t offset_1, offset_2;
  int32_t output_offset, output_multiplier, output_shift;
  int32_t activation_min, activation_max;
} ep_mul;

/* ADD, SUB and MUL of numbers that are not quantized. */
typedef struct {
  ep_broadcast loops;
  float activation_min, activation_max;
} ep_binary_f32;

typedef struct {
  ep_broadcast loops;
  int32_t activation_min, activation_max;
} ep_binary_s32;

/* Orders of two numbers; a comparison is the set of those for which it is true. */
enum { EP_LESS = 1, EP_EQUAL = 2, EP_GREATER = 4, EP_UNORDERED = 8 };

/* EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS and LESS_EQUAL; outputs are 0 or 1. */
typedef struct {
  ep_broadcast loops;
  int32_t relation;
} ep_compare;

typedef struct {
  ep_broadcast loops;
  int32_t relation;
  int32_t left_shift;
  int32_t offset_1, multiplier_1, shift_1;
  int32_t offset_2, multiplier_2, shift_2;
} ep_compare_scaled;

/* PRELU, int8: one factor for inputs from zero, one for products of those below and their slopes. */
typedef struct {
  ep_broadcast loops;
  int32_t input_offset, slope_offset, output_offset;
  int32_t multiplier_above, shift_above;
  int32_t multiplier_below, shift_below;
} ep_prelu;

/* The output may be an input that is not repeated. */
void ep_add_broadcast_s8(const ep_add_broadcast *op, const int8_t *input_1, const int8_t *input_2, int8_t *output);
void ep_add_broadcast_s16(const ep_add_broadcast *op, const int16_t *input_1, const int16_t *input_2, int16_t *output);
void ep_sub_broadcast_s8(const ep_add_broadcast *op, const int8_t *input_1, const int8_t *input_2, int8_t *output);
void ep_sub_broadcast_s16(const ep_add_broadcast *op, const int16_t *input_1, const int16_t *input_2, int16_t *output);
void ep_mul_s8(const ep_mul *op, const int8_t *input_1, const int8_t *input_2, int8_t *output);
void ep_mul_s16(const ep_mul *op, const int16_t *input_1, const int16_t *input_2, int16_t *output);
void ep_add_f32(const ep_binary_f32 *op, const float *input_1, const float *input_2, float *output);
void ep_add_s32(const ep_binary_s32 *op, const int32_t *input_1, const int32_t *input_2, int32_t *output);
void ep_sub_f32(const ep_binary_f32 *op, const float *input_1, const float *input_2, float *output);
void ep_sub_s32(const ep_binary_s32 *op, const int32_t *input_1, const int32_t *input_2, int32_t *output);
void ep_mul_f32(const ep_binary_f32 *op, const float *input_1, const float *input_2, float *output);
void ep_mul_s32(const ep_binary_s32 *op, const int32_t *input_1, const int32_t *input_2, int32_t *output);
void ep_maximum_s8(const ep_broadcast *loops, const int8_t *input_1, const int8_t *input_2, int8_t *output);
void ep_maximum_s16(const ep_broadcast *loops, const int16_t *input_1, const int16_t *input_2, int16_t *output);
void ep_maximum_s32(const ep_broadcast *loops, const int32_t *input_1, const int32_t *input_2, int32_t *output);
void ep_maximum_f32(const ep_broadcast *loops, const float *input_1, const float *input_2, float *output);
void ep_minimum_s8(const ep_broadcast *loops, const int8_t *input_1, const int8_t *input_2, int8_t *output);
void ep_minimum_s16(const ep_broadcast *loops, const int16_t *input_1, const int16_t *input_2, int16_t *output);
void ep_minimum_s32(const ep_broadcast *loops, const int32_t *input_1, const int32_t *input_2, int32_t *output);
void ep_minimum_f32(const ep_broadcast *loops, const float *input_1, const float *input_2, float *output);
void ep_compare_u8(const ep_compare *op, const uint8_t *input_1, const uint8_t *input_2, uint8_t *output);
void ep_compare_s32(const ep_compare *op, const int32_t *input_1, const int32_t *input_2, uint8_t *output);
void ep_compare_f32(const ep_compare *op, const float *input_1, const float *input_2, uint8_t *output);
void ep_compare_scaled_s8(const ep_compare_scaled *op, const int8_t *input_1, const int8_t *input_2, uint8_t *output);
void ep_prelu_s8(const ep_prelu *op, const int8_t *input, const int8_t *slope, int8_t *output);
void ep_prelu_f32(const ep_broadcast *loops, const float *input, const float *slope, float *output);

/* Reductions: the input is [kept_0][reduced_0][kept_1][reduced_1][kept_2]; the output keeps what its names say. */
typedef struct {
  int32_t kept_0, reduced_0, kept_1, reduced_1, kept_2;
} ep_reduce;

/* MEAN and SUM; input_offset is minus the zero point for each element that is summed. */
typedef struct {
  int32_t kept_0, reduced_0, kept_1, reduced_1, kept_2;
  int32_t input_offset, multiplier, shift, output_offset;
} ep_sum;

typedef struct {
  int32_t kept_0, reduced_0, kept_1, reduced_1, kept_2;
  float divisor; /* 1 for a sum */
} ep_sum_f32_constants;

/* ARG_MAX and ARG_MIN: the input is [outer][size][inner], the output [outer][inner]. */
typedef struct {
  int32_t outer, size, inner;
} ep_arg_max;

void ep_sum_s8(const ep_sum *op, const int8_t *input, int8_t *output);
void ep_sum_s16(const ep_sum *op, const int16_t *input, int16_t *output);
void ep_sum_f32(const ep_sum_f32_constants *op, const float *input, float *output);
void ep_reduce_max_s8(const ep_reduce *op, const int8_t *input, int8_t *output);
void ep_reduce_max_f32(const ep_reduce *op, const float *input, float *output);
void ep_arg_max_s8(const ep_arg_max *op, const int8_t *input, int32_t *output);
void ep_arg_max_f32(const ep_arg_max *op, const float *input, int32_t *output);
void ep_arg_min_s8(const ep_arg_max *op, const int8_t *input, int32_t *output);
void ep_arg_min_f32(const ep_arg_max *op, const float *input, int32_t *output);

/* Functions of one float32; low and high are the bounds of RELU and its kin, low the slope of LEAKY_RELU. */
typedef struct {
  int32_t size;
  float low, high;
} ep_real;

/* QUANTIZE and DEQUANTIZE: real = scale * (stored - zero_point). */
typedef struct {
  int32_t size;
  float scale;
  int32_t zero_point;
} ep_quantize;

/* QUANTIZE from one quantization to another; input_offset is minus the input's zero point. */
typedef struct {
  int32_t size;
  int32_t input_offset, multiplier, shift, output_offset;
} ep_rescale;

enum { EP_BOOL, EP_INT8, EP_UINT8, EP_INT16, EP_INT32, EP_FLOAT32 };

typedef struct {
  int32_t size;
  int32_t from, to;
} ep_cast_constants;

/* SELECT and SELECT_V2: what the condition steps by, and the loops of the other two operands. */
typedef struct {
  ep_broadcast loops;
  int32_t condition_0, condition_1, condition_2, condition_3;
} ep_select;

/* L2_NORMALIZATION over the last dimension. */
typedef struct {
  int32_t rows, depth;
  int32_t input_offset;
} ep_l2_normalization;

void ep_abs_f32(const ep_real *op, const float *input, float *output);
void ep_neg_f32(const ep_real *op, const float *input, float *output);
void ep_relu_f32(const ep_real *op, const float *input, float *output);
void ep_leaky_relu_f32(const ep_real *op, const float *input, float *output);
void ep_hard_swish_f32(const ep_real *op, const float *input, float *output);
void ep_sqrt_f32(const ep_real *op, const float *input, float *output);
void ep_rsqrt_f32(const ep_real *op, const float *input, float *output);
void ep_exp_f32(const ep_real *op, const float *input, float *output);
void ep_log_f32(const ep_real *op, const float *input, float *output);
void ep_tanh_f32(const ep_real *op, const float *input, float *output);
void ep_elu_f32(const ep_real *op, const float *input, float *output);
void ep_logistic_f32(const ep_real *op, const float *input, float *output);
void ep_quantize_f32_s8(const ep_quantize *op, const float *input, int8_t *output);
void ep_quantize_f32_s16(const ep_quantize *op, const float *input, int16_t *output);
void ep_dequantize_s8_f32(const ep_quantize *op, const int8_t *input, float *output);
void ep_dequantize_u8_f32(const ep_quantize *op, const uint8_t *input, float *output);
void ep_dequantize_s16_f32(const ep_quantize *op, const int16_t *input, float *output);
void ep_requantize_s8_s16(const ep_rescale *op, const int8_t *input, int16_t *output);
void ep_requantize_s16_s8(const ep_rescale *op, const int16_t *input, int8_t *output);
void ep_requantize_s16_s16(const ep_rescale *op, const int16_t *input, int16_t *output);
void ep_requantize_s8_s32(const ep_rescale *op, const int8_t *input, int32_t *output);
void ep_requantize_s16_s32(const ep_rescale *op, const int16_t *input, int32_t *output);
void ep_requantize_s32_s8(const ep_rescale *op, const int32_t *input, int8_t *output);
void ep_requantize_s32_s16(const ep_rescale *op, const int32_t *input, int16_t *output);
void ep_cast(const ep_cast_constants *op, const void *input, void *output);
void ep_select_8(const ep_select *op, const uint8_t *condition, const void *input_1, const void *input_2, void *output);
void ep_select_16(const ep_select *op, const uint8_t *condition, const void *input_1, const void *input_2, void *output);
void ep_select_32(const ep_select *op, const uint8_t *condition, const void *input_1, const void *input_2, void *output);
void ep_logical_not(const ep_real *op, const uint8_t *input, uint8_t *output);
void ep_logical_and(const ep_broadcast *loops, const uint8_t *input_1, const uint8_t *input_2, uint8_t *output);
void ep_logical_or(const ep_broadcast *loops, const uint8_t *input_1, const uint8_t *input_2, uint8_t *output);
void ep_l2_normalization_s8(const ep_l2_normalization *op, const int8_t *input, int8_t *output);
void ep_l2_normalization_f32(const ep_l2_normalization *op, const float *input, float *output);

/* SOFTMAX over the last dimension, float32. */
typedef struct {
  int32_t rows, depth;
  float beta;
} ep_softmax_real;

/* SOFTMAX, int16: exp(x) for x in [-10, 0] and 1 / (1 + x) for x in [0, 1], 513 values in Q0.15 each. */
typedef struct {
  int32_t rows, depth;
  int32_t multiplier, shift;
  const int16_t *exp;
  const int16_t *reciprocal;
} ep_softmax_s16_constants;

void ep_softmax_f32(const ep_softmax_real *op, const float *input, float *output);
void ep_softmax_s16(const ep_softmax_s16_constants *op, const int16_t *input, int16_t *output);

/* BATCH_MATMUL: steps in elements; the offsets (minus the inputs' zero points) and the factor are int8's. */
typedef struct {
  ep_broadcast batches;
  int32_t rows, depth, columns;
  int32_t first_row, first_depth, second_depth, second_column;
  int32_t first_offset, second_offset;
  int32_t multiplier, shift, output_offset;
} ep_batch_matmul;

void ep_batch_matmul_s8(const ep_batch_matmul *op, const int8_t *input_1, const int8_t *input_2, int8_t *output);
void ep_batch_matmul_f32(const ep_batch_matmul *op, const float *input_1, const float *input_2, float *output);

/* LOGISTIC and TANH, int16: what brings an input to the steps of their table. */
typedef struct {
  int32_t size;
  int32_t multiplier, shift; /* to the right */
} ep_sigmoid_s16;

/* RELU and its kin and LEAKY_RELU, int16: a factor from zero on, another below. */
typedef struct {
  int32_t size;
  int32_t multiplier_above, shift_above;
  int32_t multiplier_below, shift_below;
  int32_t negate;
  int32_t low, high;
} ep_leaky_relu;

void ep_logistic_s16(const ep_sigmoid_s16 *op, const int16_t *input, int16_t *output);
void ep_tanh_s16(const ep_sigmoid_s16 *op, const int16_t *input, int16_t *output);
void ep_leaky_relu_s16(const ep_leaky_relu *op, const int16_t *input, int16_t *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_ARITHMETIC_H */
