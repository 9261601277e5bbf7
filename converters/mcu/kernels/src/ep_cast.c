#include "ep_kernels.h"

static float load_real(const void *input, int32_t i) {
  return ((const float *)input)[i];
}

static int32_t load(int32_t type, const void *input, int32_t i) {
  switch (type) {
    case EP_INT8:
      return ((const int8_t *)input)[i];
    case EP_UINT8:
      return ((const uint8_t *)input)[i];
    case EP_INT16:
      return ((const int16_t *)input)[i];
    default:
      return ((const int32_t *)input)[i];
  }
}

static void store(int32_t type, void *output, int32_t i, int32_t value) {
  switch (type) {
    case EP_BOOL:
      ((uint8_t *)output)[i] = value != 0;
      break;
    case EP_INT8:
      ((int8_t *)output)[i] = (int8_t)value;
      break;
    case EP_UINT8:
      ((uint8_t *)output)[i] = (uint8_t)value;
      break;
    case EP_INT16:
      ((int16_t *)output)[i] = (int16_t)value;
      break;
    default:
      ((int32_t *)output)[i] = value;
      break;
  }
}

/* Stored numbers as they are, whatever their scale; a real number loses its fraction, one beyond int32 is held
 * at its edge. Source: TFLite micro/kernels/cast.cc. */
void ep_cast(const ep_cast_constants *op, const void *input, void *output) {
  for (int32_t i = 0; i < op->size; ++i) {
    if (op->from != EP_FLOAT32) {
      const int32_t value = load(op->from, input, i);
      if (op->to == EP_FLOAT32) {
        ((float *)output)[i] = (float)value;
      } else {
        store(op->to, output, i, value);
      }
    } else if (op->to == EP_FLOAT32) {
      ((float *)output)[i] = load_real(input, i);
    } else if (op->to == EP_BOOL) {
      ((uint8_t *)output)[i] = load_real(input, i) != 0.0f;
    } else {
      const float value = load_real(input, i);
      const int32_t held = value >= 2147483648.0f ? INT32_MAX : (value > -2147483648.0f ? (int32_t)value : INT32_MIN);
      store(op->to, output, i, held);
    }
  }
}
