/* The program of an image: runs the golden input once, compares every byte of the outputs, and says what the
 * inference took. The result goes to the console and stays in `ep_result`, where a debugger finds it.
 */
#include <string.h>

#include "ep_board.h"

#define PAINT 0x5AFE57ACUL
#define PAINTED_WORDS 16384
#ifndef EP_CALLS
#define EP_CALLS 0 /* more where the model was built to call ep_tick */
#endif

typedef struct {
  uint32_t done; /* 1 once the rest is valid */
  uint32_t wrong_bytes;
  uint32_t stack_bytes;
  uint32_t ticks_low, ticks_high;
} result;

volatile result ep_result;

#if EP_CALLS
static uint64_t ep_call_ends[EP_CALLS];
void ep_tick(int call);
void ep_tick(int call) { ep_call_ends[call] = ep_board_ticks(); }
#endif

int main(void);

static void print(const char *name, uint64_t value) {
  char text[18];
  for (int i = 0; i < 16; ++i) {
    text[i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15U];
  }
  text[16] = '\n';
  text[17] = 0;
  ep_board_print(name);
  ep_board_print(text);
}

static uint32_t differing_bytes(void) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < ep_golden_output_count; ++i) {
    const ep_span *const span = &ep_golden_outputs[i];
    for (uint32_t j = 0; j < span->size; ++j) {
      count += ep_arena[span->offset + j] != span->bytes[j] ? 1U : 0U;
    }
  }
  return count;
}

int main(void) {
  ep_model_start(ep_arena);
  for (uint32_t i = 0; i < ep_golden_input_count; ++i) {
    memcpy(ep_arena + ep_golden_inputs[i].offset, ep_golden_inputs[i].bytes, ep_golden_inputs[i].size);
  }
  volatile uint32_t *const end = ep_board_stack();
  volatile uint32_t *low = end - PAINTED_WORDS > ep_bss_end ? end - PAINTED_WORDS : ep_bss_end;
  for (volatile uint32_t *word = low; word < end; ++word) {
    *word = PAINT;
  }
  ep_board_start();
  const uint64_t begin = ep_board_ticks();
  ep_model_invoke(ep_arena);
  const uint64_t ticks = ep_board_ticks() - begin;
  while (low < end && *low == PAINT) {
    ++low;
  }
  ep_result.wrong_bytes = differing_bytes();
  ep_result.stack_bytes = (uint32_t)((uintptr_t)ep_stack_top - (uintptr_t)low);
  ep_result.ticks_low = (uint32_t)ticks;
  ep_result.ticks_high = (uint32_t)(ticks >> 32);
  ep_result.done = 1;
  print("ep wrong ", ep_result.wrong_bytes);
  print("ep stack ", ep_result.stack_bytes);
  print("ep ticks ", ticks);
#if EP_CALLS
  for (int i = 0; i < EP_CALLS; ++i) {
    print("ep call ", ep_call_ends[i] - (i > 0 ? ep_call_ends[i - 1] : begin));
  }
#endif
  ep_board_print("ep done\n");
  return 0;
}
