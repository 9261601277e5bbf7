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


def require_shape(operator: Operator, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Make sure of a tensor's shape.

    Raises:
        ConversionError: It has another.
    """
    if tensor.shape != shape:
        found = f"{operator.op}: tensor {tensor.index} '{tensor.name}' is {list(tensor.shape)}"
        msg = f"{found}, expected {list(shape)}."
        raise ConversionError(msg, remedy="Convert the model again with every shape fixed.")


def require_one_scale(operator: Operator, source: Tensor, output: Tensor) -> None:
    """Make sure that the bytes of one tensor mean in another what they mean there.

    Raises:
        ConversionError: Scale or zero point differ.
    """
    found = [
        None if t.quantization is None else (t.quantization.scale.tolist(), t.quantization.zero_point.tolist())
        for t in (source, output)
    ]
    if found[0] != found[1] and source.dtype in ("int8", "uint8", "int16"):
        scales = f"input '{source.name}' and output '{output.name}' have different scales or zero points"
        msg = f"{operator.op}: {scales}, and TFLite Micro would copy the bytes as they are."
        raise ConversionError(msg, remedy=f"Quantize the inputs of {operator.op} to the output's scale.")


def _shape(tensor: Tensor) -> str:
    sizes = tensor.shape[1:] if len(tensor.shape) > 1 and tensor.shape[0] == 1 else tensor.shape
    return "x".join(str(size) for size in sizes) or "1"
