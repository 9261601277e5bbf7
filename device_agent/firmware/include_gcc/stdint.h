/* For a GCC that was installed without a C library: its own types, which its <stdint.h> leaves to the library. */
#include <stdint-gcc.h>
