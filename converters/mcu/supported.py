"""Which operators have kernels in which types: what the table in the documentation is made from.

Rules:
    * A type is that of the operator's data: its first input that is not a condition, a shape or a dimension.
    * Where an operator's own file names its types (`DTYPES`), the lowering refuses every other with the same
      names, so the record cannot drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.mcu.ops import (
    activations,
    add,
    batch_matmul,
    cast,
    comparisons,
    elementwise,
    l2_normalization,
    maximum,
    mul,
    prelu,
    quantize,
    reductions,
    select,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACTIVATIONS = (
    "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "TANH",
)  # fmt: skip
_ELEMENTWISE = ("ABS", "EXP", "LOG", "NEG", "RSQRT", "SQRT")

ARITHMETIC: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("ADD", "SUB"), add.DTYPES),
    **{op: activations.dtypes_of(op) for op in _ACTIVATIONS},
    **dict.fromkeys(_ELEMENTWISE, elementwise.DTYPES),
    **dict.fromkeys(comparisons.RELATIONS, comparisons.DTYPES),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR"), ("bool",)),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), maximum.DTYPES),
    **reductions.DTYPES,
    "BATCH_MATMUL": batch_matmul.DTYPES,
    "CAST": cast.DTYPES,
    "DEQUANTIZE": quantize.DEQUANTIZED,
    "L2_NORMALIZATION": l2_normalization.DTYPES,
    "MUL": mul.DTYPES,
    "PRELU": prelu.DTYPES,
    "QUANTIZE": tuple(quantize.QUANTIZED),
    "SELECT_V2": select.DTYPES,
    "SOFTMAX": ("int8", "int16", "float32"),
    "TRANSPOSE_CONV": ("int8",),
}
"""Operators of arithmetic: name to the types that have kernels."""
NOT_IN_TFLITE_MICRO: Mapping[str, tuple[str, ...]] = {
    "CAST": ("uint8",),
    "EXP": ("int8",),
    "LOG": ("int8",),
    "NEG": ("int8",),
    "RELU_0_TO_1": ("int8", "int16", "float32"),
    "RELU_N1_TO_1": ("int8", "int16", "float32"),
    "SQRT": ("int8",),
}
"""Types that TFLite Micro refuses; the answer is the definition's: dequantize, apply, quantize."""
