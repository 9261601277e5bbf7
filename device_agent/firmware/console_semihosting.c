/* A console for emulators and debuggers: Arm semihosting, which RISC-V took over. Without one it is a fault.
 *
 * Source: Arm, Semihosting for AArch32 and AArch64: SYS_WRITE0, SYS_EXIT; RISC-V Semihosting.
 */
#include "ep_board.h"

#define SYS_WRITE0 0x04
#define SYS_EXIT 0x18
#define APPLICATION_EXIT 0x20026

static void ask(int operation, uintptr_t argument) {
#if defined(__riscv)
  register int a0 __asm__("a0") = operation;
  register uintptr_t a1 __asm__("a1") = argument;
  __asm__ volatile(
      ".option push\n\t.option norvc\n\t.balign 16\n\t"
      "slli x0, x0, 0x1f\n\tebreak\n\tsrai x0, x0, 7\n\t.option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
#else
  register int r0 __asm__("r0") = operation;
  register uintptr_t r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
#endif
}

void ep_board_print(const char *text) { ask(SYS_WRITE0, (uintptr_t)text); }

void ep_board_exit(void) {
  ask(SYS_EXIT, APPLICATION_EXIT);
  for (;;) {
  }
}
