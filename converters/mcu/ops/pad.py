"""PAD, PADV2 and MIRROR_PAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.moves import Axis, fill, move, steps_of
from edgepack.converters.mcu.ops.shapes import require_one_scale, require_shape

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor
    from edgepack.converters.mcu.program import Call


def lower(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a PAD or PADV2: the value everywhere, then the tensor into its place.

    Raises:
        ConversionError: The paddings or the value are computed, or the shapes do not add up.
    """
    source, output, before, _ = _operands(subgraph, operator)
    value: np.generic = np.int64(0)
    if operator.op == "PADV2":
        tensor = subgraph.tensors[operator.inputs[2]]
        require_one_scale(operator, tensor, output)
        value = constant(operator, tensor).reshape(-1)[0]
    elif output.dtype in ("int8", "uint8") and output.quantization is not None:
        value = output.quantization.zero_point[0]
    filled = [fill(operator, output, value)] if source.shape != output.shape else []
    return filled + _inside(operator, source, output, before)


def lower_mirror(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a MIRROR_PAD: the tensor into its place, then each border from what lies beside it.

    Raises:
        ConversionError: The paddings are computed, or larger than what they mirror.
    """
    source, output, before, after = _operands(subgraph, operator)
    edge = 1 if operator.options["mode"] == "REFLECT" else 0
    steps = steps_of(output.shape)
    calls = _inside(operator, source, output, before)
    # Inner dimensions are complete when an outer one is mirrored.
    ranges = [(first, size) for first, size in zip(before, source.shape, strict=True)]
    for axis in reversed(range(len(steps))):
        first, size = ranges[axis]
        if max(before[axis], after[axis]) > size - edge:
            found = f"'{source.name}' {list(source.shape)}"
            msg = f"MIRROR_PAD: {found} is padded by more than it has along axis {axis}."
            raise ConversionError(msg, remedy="Pad by less, or pad twice.")
        last = first + size - 1
        for count, inner, outer, way in (
            (before[axis], first + edge, first - 1, -1),
            (after[axis], last - edge, last + 1, 1),
        ):
            axes = [Axis(length, step, step) for (_, length), step in zip(ranges, steps, strict=True)]
            axes[axis] = Axis(count, -way * steps[axis], way * steps[axis])
            origin = sum(ranges[i][0] * step for i, step in enumerate(steps) if i != axis)
            begin = origin + inner * steps[axis], origin + outer * steps[axis]
            calls += move(operator, output, output, axes, begin)
        ranges[axis] = (0, output.shape[axis])
    return calls


def _operands(subgraph: Subgraph, operator: Operator) -> tuple[Tensor, Tensor, list[int], list[int]]:
    source, output = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    tensor = subgraph.tensors[operator.inputs[1]]
    paddings = np.asarray(constant(operator, tensor), np.int64)
    if paddings.shape != (len(source.shape), 2) or (paddings < 0).any():
        msg = f"{operator.op}: paddings '{tensor.name}' are {paddings.tolist()} for {list(source.shape)}."
        raise ConversionError(msg, remedy="Pad every dimension by two numbers that are not negative.")
    before, after = paddings.T.tolist()
    require_shape(operator, output, tuple(map(sum, zip(source.shape, before, after, strict=True))))
    return source, output, before, after


def _inside(operator: Operator, source: Tensor, output: Tensor, before: list[int]) -> list[Call]:
    steps = steps_of(output.shape)
    begin = sum(count * step for count, step in zip(before, steps, strict=True))
    axes = map(Axis, source.shape, steps_of(source.shape), steps)
    return move(operator, source, output, axes, (0, begin))
