/* Start-up of a 32-bit RISC-V: memory, traps, and the counter of retired instructions.
 *
 * Source: The RISC-V Instruction Set Manual, volume II: mtvec, minstret.
 */
#include "ep_board.h"

/* One instruction on a control register: every core has them, but their extension is not in the core's name. */
#define CSR(instruction) ".option push\n\t.option arch, +zicsr\n\t" instruction "\n\t.option pop"

int main(void);
void ep_reset(void);
void ep_start(void);
void ep_fault(void);

/* The stack pointer is not set yet: no C before that. */
__attribute__((naked, section(".ep_vectors"), used)) void ep_reset(void) {
  __asm__ volatile("la sp, ep_stack_top\n\tj ep_start");
}

__attribute__((used)) void ep_start(void) {
  __asm__ volatile(CSR("csrw mtvec, %0") : : "r"(ep_fault));
  const uint32_t *from = ep_data_load;
  for (uint32_t *to = ep_data_start; to < ep_data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t *to = ep_bss_start; to < ep_bss_end; ++to) {
    *to = 0;
  }
  (void)main();
  ep_board_exit();
}

__attribute__((aligned(4))) void ep_fault(void) {
  ep_board_print("ep fault\n");
  ep_board_exit();
}

void ep_board_start(void) {}

uint64_t ep_board_ticks(void) {
  uint32_t high, low, again;
  do {
    __asm__ volatile(CSR("csrr %0, minstreth") : "=r"(high));
    __asm__ volatile(CSR("csrr %0, minstret") : "=r"(low));
    __asm__ volatile(CSR("csrr %0, minstreth") : "=r"(again));
  } while (high != again);
  return ((uint64_t)high << 32) | low;
}
