"""Real multipliers as integers: the arithmetic with which TFLite prepares its integer kernels.

Rules:
    * Every function here gives the very integers that TFLite Micro computes when it prepares a model; the
      kernels then give the same bytes. Where TFLite multiplies in float32, so does this.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgepack.converters.errors import ConversionError

if TYPE_CHECKING:
    from edgepack.converters.graph import Tensor


_ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0),
    "RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0),
}  # fmt: skip
"""The bounds of fused activations, in real numbers."""


class Multiplier(NamedTuple):
    """A real factor as `multiplier * 2^(shift - 31)`.

    Attributes:
        multiplier: Q0.31, in [2^30, 2^31), or 0.
        shift: Positive is to the left; -31 to 30.
    """

    multiplier: int
    shift: int


def quantize_multiplier(real: float) -> Multiplier:
    """Return a non-negative real factor as integers.

    Source: TFLite kernels/internal/quantization_util.cc, QuantizeMultiplier.
    """
    if real == 0.0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)  # round half away from zero; fraction is positive
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier((1 << 31) - 1, 30) if shift > 30 else Multiplier(multiplier, shift)


def channel_multipliers(
    input_scale: np.float32, weight_scales: np.ndarray, output_scale: np.float32
) -> list[Multiplier]:
    """Return the factor of each output channel of a convolution: input scale x weight scale / output scale.

    Source: TFLite kernels/kernel_util.cc, PopulateConvolutionQuantizationParams: in double precision.
    """
    return [
        quantize_multiplier(float(input_scale) * float(scale) / float(output_scale))
        for scale in weight_scales
    ]


def tensor_multiplier(
    input_scale: np.float32, weight_scale: np.float32, output_scale: np.float32
) -> Multiplier:
    """Return the factor of a layer quantized per tensor; the first product is in single precision.

    Source: TFLite kernels/kernel_util.cc, GetQuantizedConvolutionMultipler.
    """
    return quantize_multiplier(
        float(np.float32(input_scale) * np.float32(weight_scale)) / float(output_scale)
    )


def activation_range(activation: str, output: Tensor) -> tuple[int, int]:
    """Return the smallest and largest quantized output that a fused activation allows.

    Raises:
        ConversionError: The activation has no integer form.

    Source: TFLite kernels/kernel_util.cc, CalculateActivationRangeQuantized: in single precision.
    """
    limits = np.iinfo(output.dtype)
    if activation not in _ACTIVATIONS:
        msg = f"Tensor '{output.name}': a fused activation {activation}, which has no integer form."
        raise ConversionError(
            msg, remedy="Train the model with RELU or RELU6, or with a separate activation."
        )
    scale, zero_point = scale_of(output)
    low, high = (
        None if edge is None else _quantize(edge, scale, zero_point) for edge in _ACTIVATIONS[activation]
    )
    return max(limits.min, limits.min if low is None else low), min(
        limits.max, limits.max if high is None else high
    )


def real_activation_range(activation: str, dtype: str) -> tuple[float, float]:
    """Return the smallest and largest output of a fused activation where numbers are not quantized.

    Args:
        activation: "NONE", "RELU", "RELU6", "RELU_0_TO_1" or "RELU_N1_TO_1".
        dtype: "float32" or "int32"; without a bound, the edge of the type.

    Raises:
        ConversionError: Another activation.

    Source: TFLite kernels/kernel_util.h, CalculateActivationRange.
    """
    if activation not in _ACTIVATIONS:
        msg = f"A fused activation {activation}, which has no kernel in C."
        raise ConversionError(msg, remedy="Use a separate activation operator, or RELU or RELU6.")
    limits = np.finfo(np.float32) if dtype == "float32" else np.iinfo(dtype)
    number = float if dtype == "float32" else int
    low, high = _ACTIVATIONS[activation]
    return number(limits.min if low is None else low), number(limits.max if high is None else high)


def scale_of(tensor: Tensor) -> tuple[np.float32, int]:
    """Return scale and zero point of a tensor that is quantized as a whole.

    Raises:
        ConversionError: It is not.
    """
    params = tensor.quantization
    if params is None or params.scale.size != 1 or not params.scale[0] > 0:
        found = "not quantized" if params is None else f"quantized with {params.scale.size} scales"
        msg = f"Tensor {tensor.index} '{tensor.name}' is {found}; one positive scale was expected."
        raise ConversionError(msg, remedy="Quantize the model to int8: edgepack build MODEL --precision int8")
    return np.float32(params.scale[0]), int(params.zero_point[0])


def _quantize(real: float, scale: np.float32, zero_point: int) -> int:
    ratio = float(np.float32(real) / scale)
    return zero_point + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))
