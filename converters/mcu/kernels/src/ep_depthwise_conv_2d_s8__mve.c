#include "ep_mve.h"

/* One output takes one VMLADAVA: all taps of a channel lie in one vector, four columns of four rows each. So a row of
 * outputs begins with the columns of the input that it reads, transposed: [columns][16 channels][4 rows].
 *
 * Where kernels are three rows high and move by one, four rows of the input serve two rows of outputs: the lower
 * one's weights are the upper one's, a byte further. Else, two outputs of one row are computed side by side. */

#define ROWS 4
#define COLUMN (EP_VECTOR * ROWS) /* bytes */

/* What the loops below keep in registers and on their stack. */
typedef struct {
  int8_t *first, *second; /* outputs of two pixels */
  int32_t low, high;
  uint32_t words[4], second_words[4]; /* where the columns of the two pixels lie, less 4 */
  int32_t output_offset;
  int32_t fours; /* blocks of four channels */
  int32_t pairs; /* of pixels */
  int32_t words_step, output_step; /* from the end of a pair to the next */
} pass;

/* A channel of two pixels of a row. */
#define SIDE_BY_SIDE(first, second)         \
  "vldrb.u8 q2, [r1], #16\n\t"              \
  "vldrw.u32 q0, [q4, #4]!\n\t"             \
  "vmladav.s8 " first ", q0, q2\n\t"        \
  "vldrw.u32 q1, [q5, #4]!\n\t"             \
  "vmladav.s8 " second ", q1, q2\n\t"

/* A channel of two pixels of a column, the lower one first. */
#define ONE_BELOW_THE_OTHER(first, second)  \
  "vldrw.u32 q0, [q4, #4]!\n\t"             \
  "vldrb.u8 q2, [r1, #-1]\n\t"              \
  "vmladav.s8 " first ", q0, q2\n\t"        \
  "vldrb.u8 q3, [r1], #16\n\t"              \
  "vmladav.s8 " second ", q0, q3\n\t"

/* Up to sixteen channels of pairs of pixels along a row. */
#define MULTIPLY(channel)                                                                 \
  "push {r4-r11, lr}\n\t"                                                                 \
  "vpush {d8-d15}\n\t"                                                                    \
  "ldm r1!, {r2-r5}\n\t"                                                                  \
  "mov r7, r3\n\t"                                                                        \
  "vdup.32 q6, r4\n\t"                                                                    \
  "vdup.32 q7, r5\n\t"                                                                    \
  "mov r5, r2\n\t"                                                                        \
  "vldrw.u32 q4, [r1], #16\n\t"                                                           \
  "vldrw.u32 q5, [r1], #16\n\t"                                                           \
  "ldm r1, {r2, r3, r9, r11, r12}\n\t"                                                    \
  "push {r0, r2, r3, r12}\n\t"                                                            \
  "1: ldr r1, [sp]\n\t"                                                                   \
  "ldr r3, [sp, #8]\n\t"                                                                  \
  "2:\n\t"                                                                                \
  channel("r0", "r8") channel("r2", "r10") channel("r4", "r12") channel("r6", "lr")       \
  EP_SCALE_8("20")                                                                        \
  "ldr r0, [sp, #4]\n\t"                                                                  \
  EP_STORE_8("r0")                                                                        \
  "subs r3, r3, #1\n\t"                                                                   \
  "bne 2b\n\t"                                                                            \
  "vadd.i32 q4, q4, r11\n\t"                                                              \
  "vadd.i32 q5, q5, r11\n\t"                                                              \
  "ldr r0, [sp, #12]\n\t"                                                                 \
  "add r5, r5, r0\n\t"                                                                    \
  "add r7, r7, r0\n\t"                                                                    \
  "subs r9, r9, #1\n\t"                                                                   \
  "bne 1b\n\t"                                                                            \
  "add sp, sp, #16\n\t"                                                                   \
  "vpop {d8-d15}\n\t"                                                                     \
  "pop {r4-r11, pc}\n\t"

EP_ASSEMBLY static void multiply_along(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(MULTIPLY(SIDE_BY_SIDE));
}

EP_ASSEMBLY static void multiply_two_rows(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(MULTIPLY(ONE_BELOW_THE_OTHER));
}

/* Where a row's bytes lie; outside the input, the zero point again and again. */
typedef struct {
  const int8_t *from;
  int32_t step;
} line;

/* Up to sixteen channels of pixels of four rows, transposed. */
EP_ASSEMBLY static void transpose(EP_IN_REGISTER const line lines[ROWS], EP_IN_REGISTER int32_t channels,
                                  EP_IN_REGISTER int32_t pixels, EP_IN_REGISTER int8_t *to) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r4-r11}\n\t"
      "vctp.8 r1\n\t"
      "dls lr, r2\n\t"
      "1: vpstttt\n\t"
      "vldrbt.u8 q0, [r4]\n\t"
      "vldrbt.u8 q1, [r6]\n\t"
      "vldrbt.u8 q2, [r8]\n\t"
      "vldrbt.u8 q3, [r10]\n\t"
      "add r4, r4, r5\n\t"
      "add r6, r6, r7\n\t"
      "add r8, r8, r9\n\t"
      "add r10, r10, r11\n\t"
      "vst40.8 {q0, q1, q2, q3}, [r3]\n\t"
      "vst41.8 {q0, q1, q2, q3}, [r3]\n\t"
      "vst42.8 {q0, q1, q2, q3}, [r3]\n\t"
      "vst43.8 {q0, q1, q2, q3}, [r3]!\n\t"
      "le lr, 1b\n\t"
      "pop {r4-r11, pc}\n\t");
}

static void add_to(uint32_t words[4], int32_t bytes) {
  vst1q_u32(words, vaddq_n_u32(vld1q_u32(words), (uint32_t)bytes));
}

/* Sixteen channels, or what is left of them, of one row of outputs, or of this and the next one. */
static void multiply_row(const ep_depthwise_vectors *op, const uint32_t *weights, int32_t fours, const int8_t *columns,
                         int8_t *output, int8_t *below) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->output_channels, step = w->stride_width * COLUMN;
  const uint32x4_t lanes = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)(w->dilation_width * COLUMN));
  pass p = {.low = op->activation_min, .high = op->activation_max, .output_offset = op->output_offset, .fours = fours};
  vst1q_u32(p.words, vaddq_n_u32(lanes, (uint32_t)(uintptr_t)columns - 4U));
  if (op->two_rows) {
    p.first = below;
    p.second = output;
    p.pairs = w->output_width;
    p.words_step = step - 4 * ROWS * fours;
    p.output_step = depth - 4 * fours;
    multiply_two_rows(weights, &p);
    return;
  }
  memcpy(p.second_words, p.words, sizeof p.words);
  add_to(p.second_words, step);
  p.first = output;
  p.second = output + depth;
  p.pairs = w->output_width / 2;
  p.words_step = 2 * step - 4 * ROWS * fours;
  p.output_step = 2 * depth - 4 * fours;
  if (p.pairs > 0) {
    multiply_along(weights, &p);
  }
  if (w->output_width & 1) { /* one pixel, twice */
    const int32_t last = w->output_width - 1;
    add_to(p.words, last * step);
    memcpy(p.second_words, p.words, sizeof p.words);
    p.first = p.second = output + last * depth;
    p.pairs = 1;
    multiply_along(weights, &p);
  }
}

void ep_depthwise_conv_2d_s8__mve(const ep_depthwise_vectors *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->output_channels, stride = w->input_width * depth, row_bytes = w->output_width * depth;
  const int32_t together = op->two_rows ? 2 : 1, left = w->padding_left;
  const int32_t pixels = ep_clamp(w->input_width, 0, op->columns - left);
  int8_t *const nothing = (int8_t *)scratch, *const columns = nothing + EP_VECTOR;
  int8_t *const kept = columns + COLUMN * (op->columns + (ROWS - w->kernel_width) * w->dilation_width); /* a row */
  ep_fill(nothing, (int8_t)op->zero_point, EP_VECTOR + COLUMN * op->columns);
  for (int32_t out_y = 0; out_y < w->output_height; out_y += together, output += together * row_bytes) {
    const uint32_t *weights = op->weights + 1;
    const int32_t next = out_y + together; /* its kernel begins one row above */
    int8_t *const below = out_y + 1 < w->output_height ? output + row_bytes : output; /* the upper one comes last */
    line lines[ROWS];
    int32_t y = out_y * w->stride_height - w->padding_top;
    for (int32_t row = 0; row < ROWS; ++row, y += w->dilation_height) {
      const int inside = y >= 0 && y < w->input_height;
      const int8_t *const from = op->in_place && y < out_y ? kept : input + y * stride;
      lines[row].from = inside ? from : nothing;
      lines[row].step = inside ? depth : 0;
    }
    for (int32_t channel = 0; channel < depth; channel += EP_VECTOR) {
      const int32_t fours = depth - channel < EP_VECTOR ? (depth - channel) / 4 : 4;
      if (pixels > 0) {
        transpose(lines, 4 * fours, pixels, columns + COLUMN * left);
      }
      if (op->in_place && next < w->output_height) {
        ep_spread(input + (next - 1) * stride + channel, depth, w->input_width, 4 * fours, kept + channel, depth);
      }
      multiply_row(op, weights, fours, columns, output + channel, below + channel);
      weights += fours * (4 * EP_VECTOR + 3 * EP_VECTOR + 4) / 4;
      for (int32_t row = 0; row < ROWS; ++row) {
        lines[row].from += lines[row].step == 0 ? 0 : EP_VECTOR;
      }
    }
  }
}
