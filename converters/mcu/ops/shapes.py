"""How operators are named in comments, and what they promise of their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Tensor


def label_of(operator: Operator, source: Tensor, output: Tensor) -> str:
    """Return "CONV_2D 49x10x1 -> 25x5x64"."""
    return f"{operator.label} {_shape(source)} -> {_shape(output)}"


def require_dtype(operator: Operator, tensor: Tensor, dtype: str) -> None:
    """Make sure of a tensor's type.

    Raises:
        ConversionError: It has another.
    """
    if tensor.dtype != dtype:
        msg = f"{operator.op}: tensor {tensor.index} '{tensor.name}' is {tensor.dtype}, expected {dtype}."
        raise ConversionError(msg, remedy="Quantize the model to int8: edgepack build MODEL --precision int8")


def _shape(tensor: Tensor) -> str:
    sizes = tensor.shape[1:] if len(tensor.shape) > 1 and tensor.shape[0] == 1 else tensor.shape
    return "x".join(str(size) for size in sizes) or "1"
