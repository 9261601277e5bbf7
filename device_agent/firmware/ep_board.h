/* What the self test needs of a board, and of the model that was linked with it. */
#ifndef EP_BOARD_H
#define EP_BOARD_H

#include <stdint.h>

/* Starts the counter of ep_board_ticks. */
void ep_board_start(void);

/* Cycles of the core since ep_board_start; on an emulated board a fixed number of instructions. */
uint64_t ep_board_ticks(void);

/* Writes a text to whoever listens; nobody does on a board without a console. */
void ep_board_print(const char *text);

/* Ends the program; on a real board it waits for ever. */
void ep_board_exit(void);

static inline uint32_t *ep_board_stack(void) {
  uint32_t *pointer;
#if defined(__riscv)
  __asm__ volatile("mv %0, sp" : "=r"(pointer));
#else
  __asm__ volatile("mov %0, sp" : "=r"(pointer));
#endif
  return pointer;
}

/* Bytes of the arena, and what they hold before or after an inference. */
typedef struct {
  uint32_t offset, size;
  const uint8_t *bytes;
} ep_span;

/* Written by edgepack for the model: its arena, and one golden input with the output that it must give. */
extern uint8_t ep_arena[];
extern const ep_span ep_golden_inputs[], ep_golden_outputs[];
extern const uint32_t ep_golden_input_count, ep_golden_output_count;
void ep_model_start(void *arena); /* sets the state, of a model that has one */
void ep_model_invoke(void *arena);

/* From the linker script. */
extern uint32_t ep_data_load[], ep_data_start[], ep_data_end[], ep_bss_start[], ep_bss_end[], ep_stack_top[];

#endif /* EP_BOARD_H */
