/* Functions whose body is one asm statement, for loops that need more registers than an operand list may ask for. */
#ifndef EP_ASSEMBLY_H
#define EP_ASSEMBLY_H

/* Parameters are where the procedure call standard puts them; the compiler must neither drop nor move them. */
#if defined(__clang__)
#define EP_ASSEMBLY __attribute__((naked, noinline))
#else
#define EP_ASSEMBLY __attribute__((naked, noinline, noclone))
#endif
#define EP_IN_REGISTER __attribute__((unused))

#endif /* EP_ASSEMBLY_H */
