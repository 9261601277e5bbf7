/* Start-up of a Cortex-M: vector table, memory, floating-point and vector unit, and a counter of cycles.
 *
 * Source: Armv6-M, Armv7-M and Armv8-M Architecture Reference Manuals: vector table, CPACR, VTOR, SysTick.
 */
#include "ep_board.h"

#define VTOR (*(volatile uint32_t *)0xE000ED08U)
#define CPACR (*(volatile uint32_t *)0xE000ED88U)
#define SYST_CSR (*(volatile uint32_t *)0xE000E010U)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014U)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018U)
#define SYST_BITS 24
#define SYST_MAX ((1UL << SYST_BITS) - 1UL)
#define SYST_RUN_WITH_INTERRUPT 7U /* ENABLE, TICKINT, CLKSOURCE: the core's clock */

int main(void);
void ep_reset(void);
void ep_fault(void);
void ep_systick(void);

typedef void (*handler)(void);
typedef union {
  handler function;
  uint32_t *stack;
} vector;

__attribute__((section(".ep_vectors"), used)) const vector ep_vectors[16] = {
    {.stack = ep_stack_top}, {ep_reset}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault},
    {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_fault}, {ep_systick},
};

static volatile uint32_t ep_wraps;

void ep_reset(void) {
  VTOR = (uint32_t)(uintptr_t)ep_vectors;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  CPACR |= 0xFUL << 20;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
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

void ep_fault(void) {
  ep_board_print("ep fault\n");
  ep_board_exit();
}

void ep_systick(void) { ++ep_wraps; }

void ep_board_start(void) {
  ep_wraps = 0;
  SYST_RVR = SYST_MAX;
  SYST_CVR = 0;
  SYST_CSR = SYST_RUN_WITH_INTERRUPT;
  while (SYST_CVR == 0) { /* it takes its first value at its first tick */
  }
}

uint64_t ep_board_ticks(void) {
  uint32_t wraps, left;
  do {
    wraps = ep_wraps;
    left = SYST_CVR;
  } while (wraps != ep_wraps);
  return ((uint64_t)wraps << SYST_BITS) + (SYST_MAX - left);
}
