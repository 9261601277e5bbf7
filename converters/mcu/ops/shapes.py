"""How operators are named in comments, and what they promise of their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.requantize import scale_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def require_rank(operator: Operator, tensor: Tensor, rank: int) -> None:
    """Make sure of a tensor's number of dimensions.

    Raises:
        ConversionError: It has another.
    """
    if len(tensor.shape) != rank:
        found = f"{operator.op}: tensor {tensor.index} '{tensor.name}' is {list(tensor.shape)}"
        msg = f"{found}, expected {rank} dimensions."
        raise ConversionError(msg, remedy="Convert the model again.")


def require_one_scale(operator: Operator, source: Tensor, output: Tensor) -> None:
    """Make sure that the bytes of one tensor mean in another what they mean there.

    Raises:
        ConversionError: Scale or zero point differ.
    """
    found = [
        None
        if t.quantization is None
        else (t.quantization.scale.tolist(), t.quantization.zero_point.tolist())
        for t in (source, output)
    ]
    if found[0] != found[1] and source.dtype in ("int8", "uint8", "int16"):
        scales = f"input '{source.name}' and output '{output.name}' have different scales or zero points"
        msg = f"{operator.op}: {scales}, and TFLite Micro would copy the bytes as they are."
        raise ConversionError(msg, remedy=f"Quantize the inputs of {operator.op} to the output's scale.")


def one_dtype_of(operator: Operator, tensors: Iterable[Tensor], dtypes: Sequence[str]) -> str:
    """Return the type that all tensors share.

    Raises:
        ConversionError: They differ, or the kernels take none of that type.
    """
    first, *others = tensors
    if first.dtype not in dtypes:
        found = f"{operator.op}: tensor {first.index} '{first.name}' is {first.dtype}"
        msg = f"{found}, expected {', '.join(dtypes[:-1])} or {dtypes[-1]}."
        raise ConversionError(msg, remedy="Quantize the model to int8: edgepack build MODEL --precision int8")
    for tensor in others:
        require_dtype(operator, tensor, first.dtype)
    return first.dtype


def require_symmetric(operator: Operator, tensors: Iterable[Tensor]) -> None:
    """Make sure that zero points are 0, as they are in 16 bits.

    Raises:
        ConversionError: One is not.
    """
    for tensor in tensors:
        zero_point = scale_of(tensor)[1]
        if zero_point:
            found = f"tensor {tensor.index} '{tensor.name}' has zero point {zero_point}"
            msg = f"{operator.op}: {found}, expected 0 for {tensor.dtype}."
            raise ConversionError(msg, remedy="Quantize the model again with 16-bit activations.")


def require_one_quantization(operator: Operator, tensors: Iterable[Tensor]) -> None:
    """Make sure that tensors share scale and zero point, where TFLite works on stored numbers.

    Raises:
        ConversionError: They do not.
    """
    first, *others = tensors
    if first.quantization is None and all(tensor.quantization is None for tensor in others):
        return
    for tensor in others:
        if scale_of(tensor) != scale_of(first):
            one, two = scale_of(first), scale_of(tensor)
            msg = (
                f"{operator.op}: '{first.name}' has scale {one[0]} and zero point {one[1]}, "
                f"'{tensor.name}' {two[0]} and {two[1]}; they must be equal."
            )
            raise ConversionError(msg, remedy="Convert the model again: TFLite's converter makes them so.")


def _shape(tensor: Tensor) -> str:
    sizes = tensor.shape[1:] if len(tensor.shape) > 1 and tensor.shape[0] == 1 else tensor.shape
    return "x".join(str(size) for size in sizes) or "1"
