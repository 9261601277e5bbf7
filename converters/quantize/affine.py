"""Affine quantization of arrays: `real = scale * (quantized - zero_point)`.

Source: TFLite 8-bit quantization specification; rounding as the QUANTIZE operator's `TfLiteRound`, which
rounds halves away from zero (tensorflow/lite/kernels/internal/reference/quantize.h, `AffineQuantize`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quantize_array(
    real: NDArray[np.floating[Any]], scale: float, zero_point: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return `real` in steps of `scale`, saturated to the integer type `dtype`."""
    scaled = real.astype(np.float32) / np.float32(scale)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    limits = np.iinfo(dtype)
    quantized: NDArray[Any] = np.clip(rounded + zero_point, limits.min, limits.max).astype(dtype)
    return quantized


def dequantize_array(quantized: NDArray[Any], scale: float, zero_point: int) -> NDArray[np.float32]:
    """Return the real values, float32, that the integers stand for."""
    steps = quantized.astype(np.int32) - np.int32(zero_point)
    real: NDArray[np.float32] = steps.astype(np.float32) * np.float32(scale)
    return real
