#include <string.h>

#include "ep_kernels.h"

#define BLOCK 16

/* Both pointers are aligned: the types of the pointers tell the compiler, which then moves whole words. */
static void move_block(const uint8_t *from, uint8_t *to) {
  uint32_t words[BLOCK / 4];
  memcpy(words, (const uint32_t *)(const void *)from, BLOCK);
  memcpy((uint32_t *)(void *)to, words, BLOCK);
}

/* From the start where the output lies below the input, from the end where it lies above. */
static void move_overlapping(const uint8_t *from, uint8_t *to, int32_t size) {
  const int aligned = (((uintptr_t)from | (uintptr_t)to) & 3U) == 0;
  int32_t i = 0;
  if (to < from) {
    for (; aligned && i + BLOCK <= size; i += BLOCK) {
      move_block(from + i, to + i);
    }
    for (; i < size; ++i) {
      to[i] = from[i];
    }
    return;
  }
  for (i = size; i > (aligned ? size / BLOCK * BLOCK : 0); --i) {
    to[i - 1] = from[i - 1];
  }
  for (; i > 0; i -= BLOCK) {
    move_block(from + i - BLOCK, to + i - BLOCK);
  }
}

/* memcpy where the two do not overlap. */
void ep_move_bytes(const ep_span *op, const void *input, void *output) {
  const uint8_t *const from = (const uint8_t *)input + op->input_offset;
  uint8_t *const to = (uint8_t *)output + op->output_offset;
  if (to + op->size <= from || from + op->size <= to) {
    memcpy(to, from, (size_t)op->size);
  } else {
    move_overlapping(from, to, op->size);
  }
}
