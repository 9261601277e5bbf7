#include <string.h>

#include "ep_kernels.h"

static void move_runs(const ep_axis *axis, int32_t run_bytes, const uint8_t *from, uint8_t *to) {
  if (run_bytes == 1) {
    for (int32_t i = 0; i < axis->count; ++i) {
      to[i * axis->output_stride] = from[i * axis->input_stride];
    }
    return;
  }
  for (int32_t i = 0; i < axis->count; ++i) {
    memcpy(to + i * axis->output_stride, from + i * axis->input_stride, (size_t)run_bytes);
  }
}

/* The innermost axis is a loop; the others are counted like the digits of a number. */
void ep_move_strided(const ep_strided *op, const void *input, void *output) {
  const ep_axis *const innermost = &op->axes[op->rank - 1];
  int32_t index[EP_MOVE_MAX_AXES] = {0};
  int32_t from = op->input_offset, to = op->output_offset;
  for (;;) {
    move_runs(innermost, op->run_bytes, (const uint8_t *)input + from, (uint8_t *)output + to);
    int32_t axis = op->rank - 2;
    for (; axis >= 0; --axis) {
      const ep_axis *const a = &op->axes[axis];
      from += a->input_stride;
      to += a->output_stride;
      if (++index[axis] < a->count) {
        break;
      }
      index[axis] = 0;
      from -= a->count * a->input_stride;
      to -= a->count * a->output_stride;
    }
    if (axis < 0) {
      return;
    }
  }
}
