/* Names of the kernels for the linker. The compiler of models writes this file anew for every model: each
 * kernel's name then ends in a hash of its text, so that two models made by one edgepack share their kernels,
 * and two made by different ones cannot mix them up.
 */
#ifndef EP_SYMBOLS_H
#define EP_SYMBOLS_H

#endif /* EP_SYMBOLS_H */
