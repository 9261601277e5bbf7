"""What every operator that only moves data becomes: bytes, or runs of bytes along axes with strides.

Rules:
    * Axes are merged where both tensors go on without a gap, so that the runs are as long as they can be.
    * Data that lies together in both tensors is one `ep_move_bytes`, which `in_place.py` may then remove.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.shapes import label_of
from edgepack.converters.mcu.program import DTYPE_BYTES, Call, Struct, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.converters.graph import Operator, Tensor

MOVE_BYTES = "ep_move_bytes"
_MAX_AXES = 8
"""EP_MOVE_MAX_AXES of ep_movement.h."""


class Axis(NamedTuple):
    """An axis along which elements are moved.

    Attributes:
        length: Steps.
        source: Elements from one step to the next in the input; 0 repeats, negative goes backwards.
        output: The same in the output.
    """

    length: int
    source: int
    output: int


def move(
    operator: Operator, source: Tensor, output: Tensor, axes: Iterable[Axis], begin: tuple[int, int] = (0, 0)
) -> list[Call]:
    """Return the calls that move elements: one, or none where there are none.

    Args:
        operator: The operator.
        source: Where they come from.
        output: Where they go.
        axes: Every sum of steps along them is an element; the outermost first.
        begin: The first element in the input and in the output.

    Raises:
        ConversionError: The types differ, or the kernel has no room for so many axes.
    """
    if source.dtype != output.dtype or source.dtype not in DTYPE_BYTES:
        found = f"'{source.name}' is {source.dtype}, '{output.name}' is {output.dtype}"
        msg = f"{operator.op}: tensor {found}; expected one of {', '.join(DTYPE_BYTES)} for both."
        raise ConversionError(msg, remedy="Convert the model with one type for both: a CAST or QUANTIZE.")
    element = DTYPE_BYTES[source.dtype]
    steps = _merged([axis for axis in axes if axis.length != 1])
    if any(axis.length == 0 for axis in steps):
        return []
    together = bool(steps) and steps[-1].source == 1 and steps[-1].output == 1
    run = steps.pop().length * element if together else element
    if len(steps) > _MAX_AXES:
        msg = (
            f"{operator.op}: output '{output.name}' needs {len(steps)} axes of strides, at most {_MAX_AXES}."
        )
        raise ConversionError(msg, remedy="Split the operator into two, each over fewer dimensions.")
    offsets = {"input_offset": begin[0] * element, "output_offset": begin[1] * element}
    return [_call(operator, source, output, steps, run, offsets)]


def _merged(axes: Sequence[Axis]) -> list[Axis]:
    merged: list[Axis] = []
    for axis in axes:
        outer = merged[-1] if merged else None
        if outer and (outer.source, outer.output) == (axis.length * axis.source, axis.length * axis.output):
            merged[-1] = Axis(outer.length * axis.length, axis.source, axis.output)
        else:
            merged.append(axis)
    return merged


def _call(
    operator: Operator, source: Tensor, output: Tensor, steps: list[Axis], run: int, offsets: dict[str, int]
) -> Call:
    element = DTYPE_BYTES[source.dtype]
    rows = np.array([(axis.length, axis.source * element, axis.output * element) for axis in steps], np.int64)
    strided: dict[str, int | float | Table | Struct] = {
        "rank": len(steps),
        "run_bytes": run,
        **offsets,
        "axes": Table("ep_axis", rows),
    }
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_move_strided" if steps else MOVE_BYTES,
        struct="ep_strided" if steps else "ep_span",
        constants=strided if steps else {"size": run, **offsets},
        inputs=(source.index,),
        outputs=(output.index,),
    )


def fill(operator: Operator, output: Tensor, value: np.generic) -> Call:
    """Return the call that sets every element of a tensor to a value of its type."""
    stored = np.frombuffer(np.array([value], output.dtype).tobytes(), np.uint8)
    return Call(
        label=f"{operator.label} -> {'x'.join(map(str, output.shape)) or '1'}",
        operator=operator.index,
        kernel="ep_fill_elements",
        struct="ep_constant_fill",
        constants={
            "count": output.elements,
            "element_bytes": stored.size,
            "value": Table("uint8_t", stored),
        },
        inputs=(),
        outputs=(output.index,),
    )


def steps_of(shape: Sequence[int]) -> list[int]:
    """Return the elements from one index to the next along each dimension of a dense tensor."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return steps[::-1][: len(shape)]


def axis_of(operator: Operator, tensor: Tensor, axis: int, rank: int | None = None) -> int:
    """Return a dimension counted from the first one.

    Args:
        operator: The operator, for messages.
        tensor: The tensor that has the dimension.
        axis: The dimension; negative ones count from the end.
        rank: Number of dimensions that there are; the tensor's by default.

    Raises:
        ConversionError: There is no such dimension.
    """
    size = len(tensor.shape) if rank is None else rank
    if not -size <= axis < size:
        msg = f"{operator.op}: axis {axis} of tensor '{tensor.name}', which has {size} dimensions."
        raise ConversionError(msg, remedy="The file is damaged: convert the model again.")
    return axis % size
