"""Operators of one 8-bit input as a table: 256 bytes hold the output of every input.

A table costs less flash than most kernels, and one load an element. It is computed when the model is
compiled, with the very arithmetic of TFLite Micro.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.ops.shapes import label_of
from edgepack.converters.mcu.program import Call, Table
from edgepack.converters.mcu.requantize import scale_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.converters.graph import Operator, Tensor


def lookup_call(operator: Operator, source: Tensor, output: Tensor, function: Callable[[int], int]) -> Call:
    """Return a call that looks each element up.

    Args:
        operator: The operator.
        source: Its input, int8 or uint8.
        output: Its output, int8 or uint8.
        function: Stored input to stored output; what lies outside the output's type is clamped.
    """
    inputs, limits = np.iinfo(source.dtype), np.iinfo(output.dtype)
    every = np.arange(256, dtype=np.uint8).view(source.dtype)
    assert inputs.bits == limits.bits == 8
    outputs = [max(limits.min, min(limits.max, function(int(value)))) for value in every]
    table = np.array(outputs, output.dtype).view(np.int8)
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_lookup_8",
        struct="ep_lookup",
        constants={"table": Table("int8_t", table), "size": output.elements},
        inputs=(source.index,),
        outputs=(output.index,),
        in_place=((source.index, output.index),),
    )


def real_function(source: Tensor, output: Tensor, function: Callable[[float], float]) -> Callable[[int], int]:
    """Return a function of real numbers as one of stored numbers: in single precision, rounded half away.

    Source: TFLite kernels/internal/common.h, LUTPopulate; micro/kernels/elu.cc, PopulateLookupTable.
    """
    (scale, zero), (output_scale, output_zero) = scale_of(source), scale_of(output)
    inverse_scale = np.float32(1) / output_scale
    limits = np.iinfo(output.dtype)

    def stored(value: int) -> int:
        real = np.float32(function(float(scale * np.float32(value - zero))))
        scaled = float(real * inverse_scale)
        low, high = limits.min - output_zero, limits.max - output_zero
        if not low < scaled < high:  # also infinities, which have no integer
            return limits.min if scaled <= low else limits.max
        return int(np.copysign(np.floor(abs(scaled) + 0.5), scaled)) + output_zero

    return stored
