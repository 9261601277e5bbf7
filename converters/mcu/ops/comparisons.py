"""EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS and LESS_EQUAL: one kernel a type, with broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops.broadcast import broadcast_of
from edgepack.converters.mcu.ops.shapes import label_of, one_dtype_of, require_dtype
from edgepack.converters.mcu.program import Call, Struct
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

DTYPES = ("bool", "int8", "int32", "float32")
_SUFFIX = {"bool": "u8", "int32": "s32", "float32": "f32"}
_LESS, _EQUAL, _GREATER, _UNORDERED = 1, 2, 4, 8
RELATIONS = {
    "EQUAL": _EQUAL,
    "GREATER": _GREATER,
    "GREATER_EQUAL": _GREATER | _EQUAL,
    "LESS": _LESS,
    "LESS_EQUAL": _LESS | _EQUAL,
    "NOT_EQUAL": _LESS | _GREATER | _UNORDERED,
}
"""For which orders of two operands an operator is true; `ep_compare` in C."""
_LEFT_SHIFT = 8


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of a comparison.

    Raises:
        ConversionError: Types that no kernel takes, or shapes that do not broadcast.
    """
    first, second = (subgraph.tensors[i] for i in operator.inputs[:2])
    output = subgraph.tensors[operator.outputs[0]]
    dtype = one_dtype_of(operator, (first, second), DTYPES)
    require_dtype(operator, output, "bool")
    constants: dict[str, int | float | Struct] = {
        "loops": broadcast_of(operator, first, second, output),
        "relation": RELATIONS[operator.op],
    }
    if dtype == "int8":
        constants |= _scaled(operator, first, second)
    return Call(
        label=label_of(operator, first, output),
        operator=operator.index,
        kernel="ep_compare_scaled_s8" if dtype == "int8" else f"ep_compare_{_SUFFIX[dtype]}",
        struct="ep_compare_scaled" if dtype == "int8" else "ep_compare",
        constants=constants,
        inputs=(first.index, second.index),
        outputs=(output.index,),
    )


def _scaled(operator: Operator, first: Tensor, second: Tensor) -> dict[str, int]:
    """Return the members of `ep_compare_scaled` behind those of `ep_compare`.

    Source: TFLite micro/kernels/comparisons.cc, ComparisonsPrepare.
    """
    (scale_1, zero_1), (scale_2, zero_2) = scale_of(first), scale_of(second)
    one, two = quantize_multiplier(float(scale_1)), quantize_multiplier(float(scale_2))
    return {
        "left_shift": _LEFT_SHIFT,
        "offset_1": -zero_1, "multiplier_1": one.multiplier, "shift_1": one.shift,
        "offset_2": -zero_2, "multiplier_2": two.multiplier, "shift_2": two.shift,
    }  # fmt: skip
