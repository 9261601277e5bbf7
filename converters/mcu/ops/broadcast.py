"""How operands are spread over an output: the four nested loops that operators of two inputs run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.program import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.converters.graph import Operator, Tensor

_LOOPS = 4


def broadcast_of(operator: Operator, first: Tensor, second: Tensor, output: Tensor) -> Struct:
    """Return the members of `ep_broadcast`: sizes of the loops, and what each operand steps by in them.

    Neighbouring dimensions that both operands run through, or repeat over, alike become one loop: two
    tensors of one shape take a single loop.

    Raises:
        ConversionError: The shapes do not broadcast to the output's, or need more than four loops.
    """
    sizes, steps = loops_of(operator, (first, second), output)
    return Struct({
        **{f"size_{i}": size for i, size in enumerate(sizes)},
        **{f"first_{i}": step for i, step in enumerate(steps[0])},
        **{f"second_{i}": step for i, step in enumerate(steps[1])},
    })  # fmt: skip


def loops_of(
    operator: Operator, operands: Sequence[Tensor], output: Tensor
) -> tuple[list[int], list[list[int]]]:
    """Return four loop sizes, outermost first, and for each operand its four steps, in elements.

    Raises:
        ConversionError: As for `broadcast_of`.
    """
    rank = len(output.shape)
    aligned = [(1,) * (rank - len(tensor.shape)) + tuple(tensor.shape) for tensor in operands]
    fits = all(
        len(shape) == rank
        and all(size in (1, whole) for size, whole in zip(shape, output.shape, strict=True))
        for shape in aligned
    )
    full = tuple(max(sizes) for sizes in zip(*aligned, strict=True)) if fits else None
    if full != tuple(output.shape):
        found = " and ".join(f"'{tensor.name}' {list(tensor.shape)}" for tensor in operands)
        msg = f"{operator.op}: {found} do not broadcast to '{output.name}' {list(output.shape)}."
        raise ConversionError(msg, remedy="The file is damaged, or has dynamic shapes: export it again.")
    loops: list[tuple[int, tuple[bool, ...]]] = []
    for whole, sizes in zip(output.shape, zip(*aligned, strict=True), strict=True):
        if whole == 1:
            continue
        runs = tuple(size != 1 for size in sizes)
        if loops and loops[-1][1] == runs:
            loops[-1] = (loops[-1][0] * whole, runs)
        else:
            loops.append((whole, runs))
    if len(loops) > _LOOPS:
        found = f"{operator.op} (output '{output.name}') broadcasts in {len(loops)} directions"
        msg = f"{found}, expected at most {_LOOPS}."
        raise ConversionError(msg, remedy="Reshape or tile the operands before they meet.")
    loops = [(1, (False,) * len(operands))] * (_LOOPS - len(loops)) + loops
    steps = [
        [
            math.prod(size for size, runs in loops[level + 1 :] if runs[number])
            if loops[level][1][number]
            else 0
            for level in range(_LOOPS)
        ]
        for number in range(len(operands))
    ]
    return [size for size, _ in loops], steps


def writes_over(first: Tensor, second: Tensor, output: Tensor) -> tuple[tuple[int, int], ...]:
    """Return which operands the output may replace: those that run through it element by element."""
    return tuple(
        (tensor.index, output.index)
        for tensor in (first, second)
        if tensor.elements == output.elements and tensor.dtype == output.dtype
    )
