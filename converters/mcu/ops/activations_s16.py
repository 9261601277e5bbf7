"""RELU and its kin, LEAKY_RELU, LOGISTIC and TANH in 16 bits: kernels, for a table would be too large."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype, require_symmetric
from edgepack.converters.mcu.program import Call
from edgepack.converters.mcu.requantize import activation_range, quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Tensor

_UNIT = 1 / 32768
_STEPS = 3 * 4096
"""Steps of the table in one unit of the argument. Source: TFLite micro/kernels/logistic_common.cc."""


def relu_call(operator: Operator, source: Tensor, output: Tensor) -> Call:
    """Return the call of RELU or its kin. Raises as `leaky_relu_call` does."""
    require_dtype(operator, output, "int16")
    low, high = activation_range(operator.op, output)
    return _rectified(operator, source, output, 1.0, low, high)


def leaky_relu_call(operator: Operator, source: Tensor, output: Tensor) -> Call:
    """Return the call of LEAKY_RELU.

    Raises:
        ConversionError: The output is not int16, or a zero point is not 0.

    Source: TFLite micro/kernels/leaky_relu_common.cc: factors in double precision.
    """
    require_dtype(operator, output, "int16")
    return _rectified(operator, source, output, operator.options["alpha"], -32768, 32767)


def _rectified(operator: Operator, source: Tensor, output: Tensor, slope: float, low: int, high: int) -> Call:
    require_symmetric(operator, (source, output))
    scale, output_scale = float(scale_of(source)[0]), float(scale_of(output)[0])
    above = quantize_multiplier(scale / output_scale)
    below = quantize_multiplier(scale * abs(slope) / output_scale)
    constants = {
        "size": output.elements,
        "multiplier_above": above.multiplier, "shift_above": above.shift,
        "multiplier_below": below.multiplier, "shift_below": below.shift,
        "negate": int(slope < 0), "low": low, "high": high,
    }  # fmt: skip
    return _call(operator, source, output, "ep_leaky_relu_s16", "ep_leaky_relu", constants)


def sigmoid_call(operator: Operator, source: Tensor, output: Tensor) -> Call:
    """Return the call of LOGISTIC or TANH.

    Raises:
        ConversionError: A zero point is not 0, or the output's scale is not 1/32768.

    Source: TFLite micro/kernels/logistic_common.cc and tanh.cc.
    """
    require_dtype(operator, output, "int16")
    require_symmetric(operator, (source, output))
    found = float(scale_of(output)[0])
    if abs(found / _UNIT - 1) > 1e-3:
        msg = f"{operator.op}: output '{output.name}' has scale {found}, expected {_UNIT}."
        raise ConversionError(msg, remedy="Quantize the model again: TFLite fixes this operator's output.")
    multiplier, shift = _table_steps(float(scale_of(source)[0]), 1 if operator.op == "TANH" else 0)
    constants = {"size": output.elements, "multiplier": multiplier, "shift": shift}
    return _call(operator, source, output, f"ep_{operator.op.lower()}_s16", "ep_sigmoid_s16", constants)


def _table_steps(scale: float, largest_shift: int) -> tuple[int, int]:
    """Return what brings a stored input to steps of the table: a factor and a shift to the right."""
    exponent = math.log2(scale)
    left = 12 + round(exponent)
    if abs(exponent - round(exponent)) < 1e-3 and 0 <= left <= largest_shift:
        return 3 << left, 0
    factor, shift = scale * _STEPS, 0
    while factor <= 32767.0 / 2 and shift <= 30:
        factor, shift = factor * 2, shift + 1
    return int(factor), shift


def _call(
    operator: Operator, source: Tensor, output: Tensor, kernel: str, struct: str, constants: dict[str, int]
) -> Call:
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel=kernel,
        struct=struct,
        constants=constants,
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),),
    )
