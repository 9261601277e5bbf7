/* Kernels of elementwise arithmetic: tables, operators of two inputs with broadcasting, reductions. */
#ifndef EP_ARITHMETIC_H
#define EP_ARITHMETIC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any operator of one 8-bit input: table[x] is the output of x, read as an unsigned byte. In place. */
typedef struct {
  const int8_t *table;
  int32_t size;
} ep_lookup;

void ep_lookup_8(const ep_lookup *op, const void *input, void *output);

#ifdef __cplusplus
}
#endif

#endif /* EP_ARITHMETIC_H */
