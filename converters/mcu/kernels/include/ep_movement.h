/* Kernels that move data and compute nothing: they serve every type, in bytes. */
#ifndef EP_MOVEMENT_H
#define EP_MOVEMENT_H

#include <stdint.h>

#include "ep_symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that lie together: (part of) a tensor into (part of) another. */
typedef struct {
  int32_t size; /* bytes */
  int32_t input_offset, output_offset;
} ep_span;

/* The two may overlap, as when a stream moves on by a step. */
void ep_move_bytes(const ep_span *op, const void *input, void *output);

/* An axis along which runs of bytes are moved; strides are in bytes, and may be 0 or negative. */
typedef struct {
  int32_t count;
  int32_t input_stride, output_stride;
} ep_axis;

#define EP_MOVE_MAX_AXES 8

/* SLICE, TRANSPOSE, CONCATENATION and all others whose every element lies at a sum of strides. */
typedef struct {
  int32_t rank;      /* of axes, at least 1, at most EP_MOVE_MAX_AXES; the outermost first */
  int32_t run_bytes; /* bytes that lie together in both tensors */
  int32_t input_offset, output_offset;
  const ep_axis *axes;
} ep_strided;

void ep_move_strided(const ep_strided *op, const void *input, void *output);

/* One value, given by its bytes from the lowest address on, into every element. */
typedef struct {
  int32_t count; /* elements */
  int32_t element_bytes;
  const uint8_t *value;
} ep_constant_fill;

void ep_fill_elements(const ep_constant_fill *op, void *output);

/* GATHER along one axis; tensors [batches][outer][axis][inner] by indices [batches][count]. */
typedef struct {
  int32_t batches, outer, axis, count;
  int32_t inner_bytes;
} ep_gather;

/* An index that is out of range takes the nearest element that there is. */
void ep_gather_s32(const ep_gather *op, const void *input, const int32_t *indices, void *output);

/* RESIZE_NEAREST_NEIGHBOR: each output row and column is an input row and column. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width;
  int32_t output_height, output_width;
  int32_t depth_bytes;
  const int32_t *rows;    /* [output_height] */
  const int32_t *columns; /* [output_width] */
} ep_resize_nearest;

void ep_resize_nearest_neighbor(const ep_resize_nearest *op, const void *input, void *output);

/* Where an output lies between two inputs along an axis. */
typedef struct {
  int32_t low, high; /* indices of the two */
  int32_t fraction;  /* of the way from low to high, in 1 / 1024 */
} ep_between_s8;

typedef struct {
  int32_t low, high;
  float fraction;
} ep_between_f32;

/* RESIZE_BILINEAR, int8. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width;
  int32_t output_height, output_width;
  int32_t depth;
  const ep_between_s8 *rows;    /* [output_height] */
  const ep_between_s8 *columns; /* [output_width] */
} ep_resize_s8;

void ep_resize_bilinear_s8(const ep_resize_s8 *op, const int8_t *input, int8_t *output);

/* RESIZE_BILINEAR, float. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width;
  int32_t output_height, output_width;
  int32_t depth;
  const ep_between_f32 *rows;
  const ep_between_f32 *columns;
} ep_resize_f32;

void ep_resize_bilinear_f32(const ep_resize_f32 *op, const float *input, float *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_MOVEMENT_H */
