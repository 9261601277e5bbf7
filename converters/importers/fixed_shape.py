"""Give every input of a model a fixed shape: the free first dimension becomes the batch, others are errors.

A free batch dimension leaves SHAPE, STRIDED_SLICE and PACK operators in a `.tflite`, which the quantizer and
microcontrollers stumble over; so edgepack always converts with a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Sequence


def fixed_shape(source: str, name: str, shape: Sequence[int | None], batch: int) -> tuple[int, ...]:
    """Return the shape of an input with its batch filled in.

    Args:
        source: The model, for the message.
        name: The input's name.
        shape: Its shape in the model; None where a dimension is free.
        batch: The batch that was asked for.

    Raises:
        ConversionError: Another dimension than the first is free, or the first is fixed to another number.
    """
    for dimension, size in enumerate(shape[1:], start=1):
        if size is None:
            msg = f"Input '{name}' of '{source}' has a free dimension {dimension}: {_text(shape)}."
            raise ConversionError(msg, remedy="Export it with a fixed shape; only the batch may be free.")
    if shape and shape[0] not in (None, batch):
        msg = f"Input '{name}' of '{source}' has the fixed batch {shape[0]}, not {batch}: {_text(shape)}."
        raise ConversionError(
            msg, remedy=f"Use `--batch {shape[0]}`, or export the model with a free first dimension."
        )
    return tuple(batch if index == 0 else int(size or 0) for index, size in enumerate(shape))


def _text(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
