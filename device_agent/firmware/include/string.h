/* The two functions of the C library that generated code calls, for compilers that come without a library. */
#ifndef EP_STRING_H
#define EP_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);

#endif /* EP_STRING_H */
