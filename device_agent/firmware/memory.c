/* memcpy and memset, a word at a time where both sides are aligned. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
void *memmove(void *to, const void *from, size_t size);

typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  uint8_t *t = (uint8_t *)to;
  const uint8_t *f = (const uint8_t *)from;
  if ((((uintptr_t)t | (uintptr_t)f) & 3U) == 0) {
    for (; size >= 4; size -= 4, t += 4, f += 4) {
      *(word *)(void *)t = *(const word *)(const void *)f;
    }
  }
  for (; size > 0; --size) {
    *t++ = *f++;
  }
  return to;
}

void *memset(void *to, int value, size_t size) {
  uint8_t *t = (uint8_t *)to;
  const word four = (uint8_t)value * 0x01010101U;
  for (; size > 0 && ((uintptr_t)t & 3U) != 0; --size) {
    *t++ = (uint8_t)value;
  }
  for (; size >= 4; size -= 4, t += 4) {
    *(word *)(void *)t = four;
  }
  for (; size > 0; --size) {
    *t++ = (uint8_t)value;
  }
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  uint8_t *t = (uint8_t *)to;
  const uint8_t *f = (const uint8_t *)from;
  if (t <= f) {
    return memcpy(to, from, size);
  }
  while (size-- > 0) {
    t[size] = f[size];
  }
  return to;
}
