#include "ep_assembly.h"
#include "ep_pixel_pairs.h"
#include "ep_scalar.h"

/* Two pixels lie in the halves of a word, x1 + 2^16 x2, so that one product serves both. Two products are added
 * before the halves are taken apart: |w x1 + w' x1'| < 2^15, which the compiler of the model has checked. The
 * upper sum is that of the upper halves; the lower one follows from it and from the sum of the words. */
#define HALF 0x8000U

/* What a block of two channels starts from and ends with. */
typedef struct {
  uint32_t words_a; /* sums of the words */
  int32_t upper_a;  /* sums of their upper halves */
  uint32_t words_b;
  int32_t upper_b;
} sums;

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)

/* Two inputs of two pixels for the channel whose sums are in `words` and `upper`. */
#define CHANNEL(words, upper)     \
  "ldrsb r4, [r0, r6]\n\t"        \
  "ldrsb r5, [r0, r7]\n\t"        \
  "adds r0, r0, #2\n\t"           \
  "muls r4, r2, r4\n\t"           \
  "muls r5, r3, r5\n\t"           \
  "adds r4, r4, r5\n\t"           \
  "add r4, r4, r12\n\t"           \
  "add " words ", " words ", r4\n\t" \
  "asrs r4, r4, #16\n\t"          \
  "add " upper ", " upper ", r4\n\t"

#define STEP "ldmia r1!, {r2, r3}\n\t" CHANNEL("r8", "r9") CHANNEL("r10", "r11")

/* Two channels of two pixels; returns the weights behind them. Compilers have too few registers for this. */
EP_ASSEMBLY static const int8_t *multiply(EP_IN_REGISTER const int8_t *weights, EP_IN_REGISTER const uint32_t *x,
                                          EP_IN_REGISTER const uint32_t *end, EP_IN_REGISTER sums *block) {
  __asm__ volatile(
      ".syntax unified\n\t"
      "push {r4-r7, lr}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "push {r3-r7}\n\t"
      "mov lr, r2\n\t"
      "ldmia r3!, {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "movs r4, #128\n\t"
      "lsls r4, r4, #8\n\t"
      "mov r12, r4\n\t"
      "movs r6, #0\n\t"
      "movs r7, #1\n\t"
      "1:\n\t"
      STEP STEP
      "cmp r1, lr\n\t"
      "bne 1b\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "pop {r3}\n\t"
      "stmia r3!, {r4-r7}\n\t"
      "pop {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "pop {r4-r7, pc}\n\t");
}

#else

/* Two channels of two pixels; returns the weights behind them. */
static inline const int8_t *multiply(const int8_t *w, const uint32_t *x, const uint32_t *end, sums *block) {
  sums sum = *block;
  do {
    const uint32_t x_0 = x[0], x_1 = x[1];
    const uint32_t a = HALF + (uint32_t)w[0] * x_0 + (uint32_t)w[1] * x_1;
    const uint32_t b = HALF + (uint32_t)w[2] * x_0 + (uint32_t)w[3] * x_1;
    sum.words_a += a;
    sum.upper_a += (int32_t)a >> 16;
    sum.words_b += b;
    sum.upper_b += (int32_t)b >> 16;
    w += 4;
    x += 2;
  } while (x != end);
  *block = sum;
  return w;
}

#endif

void ep_conv_2d_s8__scalar(const ep_conv_2d_paired *op, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = op->window.output_channels;
  const int32_t pixels = op->window.output_height * op->window.output_width;
  uint32_t *const words = (uint32_t *)scratch, *const end = words + 2 * op->pairs;
  int8_t *const zeros = (int8_t *)end;
  const uint32_t start = 0U - HALF * (uint32_t)op->pairs;
  for (int32_t i = 0; i < op->window.input_channels; ++i) {
    zeros[i] = (int8_t)op->zero_point;
  }
  for (int32_t i = 1; i <= 3; ++i) {
    end[-i] = 0; /* the weights of what pads the inputs are 0 */
  }
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * channels) {
    const int32_t other = pixel + 1 < pixels ? 1 : 0; /* else one pixel, twice */
    const int8_t *weights = op->weights;
    const ep_channel_right *q = op->channels;
    int8_t *first = output, *second = output + other * channels;
    ep_load_pair(&op->window, input, zeros, pixel, pixel + other, 16, 1, words);
    for (int32_t left = channels; left > 0; left -= 2, q += 2) {
      sums sum = {start, 0, start, 0};
      weights = multiply(weights, words, end, &sum);
      *first++ = ep_finish_channel((int32_t)(sum.words_a - ((uint32_t)sum.upper_a << 16)), &q[0]);
      *second++ = ep_finish_channel(sum.upper_a, &q[0]);
      if (left > 1) {
        *first++ = ep_finish_channel((int32_t)(sum.words_b - ((uint32_t)sum.upper_b << 16)), &q[1]);
        *second++ = ep_finish_channel(sum.upper_b, &q[1]);
      }
    }
    ep_bound(output, (other + 1) * channels, op->activation_min, op->activation_max);
  }
}
