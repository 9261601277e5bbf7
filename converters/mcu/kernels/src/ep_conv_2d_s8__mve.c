#include "ep_mve.h"

/* What the loop below keeps on its stack. */
typedef struct {
  int8_t *first, *second; /* outputs of two pixels */
  int32_t low, high;
  const int8_t *inputs, *other_inputs;
  int32_t more; /* vectors but the first */
  int32_t output_offset;
  const int8_t *end; /* of the first pixel's outputs */
} pass;

/* Sixteen inputs of two pixels times four channels. */
#define STEP(mac)                       \
  "vldrb.u8 q0, [r9], #16\n\t"          \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r0, q0, q2\n\t"              \
  "vldrb.u8 q1, [r11], #16\n\t"          \
  mac ".s8 r8, q1, q2\n\t"              \
  "vldrb.u8 q3, [r1], #16\n\t"          \
  mac ".s8 r2, q0, q3\n\t"              \
  mac ".s8 r10, q1, q3\n\t"             \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r4, q0, q2\n\t"              \
  mac ".s8 r12, q1, q2\n\t"             \
  "vldrb.u8 q3, [r1], #16\n\t"          \
  mac ".s8 r6, q0, q3\n\t"              \
  mac ".s8 lr, q1, q3\n\t"

#define FIRST STEP("vmladav")
#define MORE STEP("vmladava")

/* All channels of two pixels. Returns the weights behind the last block. */
EP_ASSEMBLY static const uint32_t *multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "vpush {d12-d15}\n\t"
      "ldrd r5, r7, [r1], #8\n\t"
      "ldm r1, {r2, r3, r8-r12}\n\t"
      "vdup.32 q6, r2\n\t"
      "vdup.32 q7, r3\n\t"
      "push {r8-r12}\n\t"
      "mov r1, r0\n\t"
      "1: ldrd r9, r11, [sp]\n\t"
      FIRST
      "ldr r3, [sp, #8]\n\t"
      "lsrs r3, r3, #1\n\t"
      "bcc 2f\n\t"
      MORE
      "2: beq 4f\n\t"
      "3:\n\t" MORE MORE
      "subs r3, r3, #1\n\t"
      "bne 3b\n\t"
      "4:\n\t" EP_SCALE_8("16")
      "ldrd r3, r4, [sp, #12]\n\t"
      EP_STORE_8("r3")
      "cmp r5, r4\n\t"
      "bne 1b\n\t"
      "mov r0, r1\n\t"
      "add sp, sp, #20\n\t"
      "vpop {d12-d15}\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Where the pixels of some rows of outputs find their inputs. */
typedef struct {
  const int8_t *from;
  int32_t step, skip; /* from a pixel to the next; more than that at the end of a row */
  int32_t width;      /* pixels of a row */
} source;

/* The columns that `width` outputs of a row read, each with the rows of the kernel one behind another: then a
 * kernel's inputs are one run of bytes, and the next output's overlap with them. Over the edge, the zero point. */
static void gather(const ep_conv_2d_vectors *op, const int8_t *input, int32_t top, int32_t left, int32_t width,
                   const int8_t *outside, int8_t *columns) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels, step = w->kernel_height * depth;
  const int32_t count = (width - 1) * w->stride_width + w->kernel_width;
  const int32_t before = ep_clamp(-left, 0, count), end = ep_clamp(w->input_width - left, before, count);
  const int32_t inside = (left + before) * depth;
  if (before > 0 || end < count) {
    ep_fill(columns, (int8_t)op->zero_point, count * step);
  }
  columns += before * step;
  for (int32_t ky = 0, y = top; ky < w->kernel_height; ++ky, y += w->dilation_height, columns += depth) {
    if (y < 0 || y >= w->input_height) {
      ep_spread(outside, 0, end - before, depth, columns, step);
    } else {
      ep_spread(input + y * w->input_width * depth + inside, depth, end - before, depth, columns, step);
    }
  }
}

/* Rows of outputs, two pixels at a time. With copies, outputs may overwrite inputs. */
static void multiply_rows(const ep_conv_2d_vectors *op, source in, int32_t pixels, int8_t *output, int8_t *copies) {
  const int32_t channels = op->window.output_channels, rest = channels & 3, whole = channels - rest;
  const int32_t run = op->vectors * EP_VECTOR;
  int8_t last[8];
  pass p = {.low = op->activation_min, .high = op->activation_max, .more = op->vectors - 1,
            .output_offset = op->output_offset};
  int32_t left = in.width; /* of the row */
  for (; pixels > 0; pixels -= 2, output += 2 * channels) {
    const int32_t other = pixels > 1 ? 1 : 0; /* else one pixel, twice */
    const uint32_t *weights = op->weights;
    p.inputs = in.from;
    if (--left == 0) {
      in.from += in.skip;
      left = in.width;
    }
    in.from += in.step;
    p.other_inputs = other ? in.from : p.inputs;
    if (--left == 0) {
      in.from += in.skip;
      left = in.width;
    }
    in.from += in.step;
    if (copies != NULL) {
      ep_copy(copies, p.inputs, run);
      ep_copy(copies + run, p.other_inputs, run);
      p.inputs = copies;
      p.other_inputs = copies + run;
    }
    p.first = output;
    p.second = output + other * channels;
    p.end = output + whole;
    if (whole > 0) {
      weights = multiply(weights, &p);
    }
    if (rest > 0) {
      p.first = last;
      p.second = last + 4;
      p.end = last + 4;
      (void)multiply(weights, &p);
      memcpy(output + whole, last, (size_t)rest);
      memcpy(output + other * channels + whole, last + 4, (size_t)rest);
    }
  }
}

void ep_conv_2d_s8__mve(const ep_conv_2d_vectors *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels;
  if (op->line_bytes == 0) {
    const int32_t step = w->stride_width * depth, line = w->stride_height * w->input_width * depth;
    const source in = {input, step, line - w->output_width * step, w->output_width};
    multiply_rows(op, in, w->output_height * w->output_width, output, op->in_place ? (int8_t *)scratch : NULL);
    return;
  }
  int8_t *const outside = (int8_t *)scratch, *const lines = outside + EP_VECTOR;
  const int32_t step = w->stride_width * w->kernel_height * depth;
  ep_fill(outside, (int8_t)op->zero_point, EP_VECTOR);
  for (int32_t out_y = 0; out_y < w->output_height; out_y += op->rows) {
    const int32_t rows = out_y + op->rows <= w->output_height ? op->rows : w->output_height - out_y;
    for (int32_t out_x = 0; out_x < w->output_width; out_x += op->width) {
      const int32_t width = out_x + op->width <= w->output_width ? op->width : w->output_width - out_x;
      const int32_t left = out_x * w->stride_width - w->padding_left;
      for (int32_t row = 0; row < rows; ++row) {
        const int32_t top = (out_y + row) * w->stride_height - w->padding_top;
        gather(op, input, top, left, width, outside, lines + row * op->line_bytes);
      }
      const source in = {lines, step, op->line_bytes - width * step, width};
      multiply_rows(op, in, rows * width, output, NULL);
      output += rows * width * w->output_channels;
    }
  }
}
