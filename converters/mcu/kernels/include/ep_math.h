/* The functions of C's mathematical library that kernels of float32 models call. They are declared here because a
 * freestanding compiler has no <math.h>; link with -lm or with the compiler's own run-time library. */
#ifndef EP_MATH_H
#define EP_MATH_H

float expf(float x);
float expm1f(float x);
float logf(float x);
float sqrtf(float x);
float tanhf(float x);

#endif /* EP_MATH_H */
