"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, as dilated convolutions of old models have them.

A pixel of the space lies in batch (i, j) of the blocks at (y, x): its row is `y * block + i - border`. Rows
and columns are cut where a block is not whole, so that every piece is a sum of strides.

A border is the zero point, as in TFLite; TFLite Micro leaves there what lay in its memory before (its
space_to_batch_nd.cc never sets `output_offset`).
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.moves import Axis, fill, move, steps_of
from edgepack.converters.mcu.ops.shapes import require_shape

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor
    from edgepack.converters.mcu.program import Call


class _Piece(NamedTuple):
    """Positions of a dimension: `whole` blocks from `block` on, of each `inside` places from `first` on."""

    position: int
    block: int
    whole: int
    first: int
    inside: int


def lower_space_to_batch(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a SPACE_TO_BATCH_ND.

    Raises:
        ConversionError: Blocks or paddings are computed, or the shapes do not add up.
    """
    space, batches = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    blocks, borders = _blocks(subgraph, operator, space)
    padded = [size + sum(pair) for size, pair in zip(space.shape[1:], borders, strict=False)]
    _require(operator, space, batches, blocks, padded)
    zero = np.int64(0)
    if batches.dtype in ("int8", "uint8") and batches.quantization is not None:
        zero = batches.quantization.zero_point[0]
    calls = [fill(operator, batches, zero)] if any(map(sum, borders)) else []
    for axes, in_space, in_batches in _pieces(space, batches, blocks, [pair[0] for pair in borders]):
        calls += move(operator, space, batches, axes, (in_space, in_batches))
    return calls


def lower_batch_to_space(subgraph: Subgraph, operator: Operator) -> list[Call]:
    """Return the calls of a BATCH_TO_SPACE_ND. Raises as `lower_space_to_batch` does."""
    batches, space = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]]
    blocks, borders = _blocks(subgraph, operator, batches)
    whole = [size + sum(pair) for size, pair in zip(space.shape[1:], borders, strict=False)]
    _require(operator, space, batches, blocks, whole)
    calls = []
    for axes, in_space, in_batches in _pieces(space, batches, blocks, [pair[0] for pair in borders]):
        turned = [Axis(axis.length, axis.output, axis.source) for axis in axes]
        calls += move(operator, batches, space, turned, (in_batches, in_space))
    return calls


def _blocks(subgraph: Subgraph, operator: Operator, source: Tensor) -> tuple[list[int], list[list[int]]]:
    blocks = constant(operator, subgraph.tensors[operator.inputs[1]]).reshape(-1).tolist()
    borders = np.asarray(constant(operator, subgraph.tensors[operator.inputs[2]]), np.int64)
    rank = len(source.shape)
    fits = borders.shape == (len(blocks), 2) and rank in (3, 4) and len(blocks) == rank - 2
    if not fits or min(blocks, default=0) < 1 or borders.min(initial=0) < 0:
        found = f"blocks {blocks}, borders {borders.tolist()}"
        msg = f"{operator.op}: {found} of '{source.name}' {list(source.shape)}; expected rank 3 or 4."
        raise ConversionError(msg, remedy="Convert the model with a dilated convolution instead.")
    return blocks, borders.tolist()


def _require(operator: Operator, space: Tensor, batches: Tensor, blocks: list[int], whole: list[int]) -> None:
    """Make sure that the two shapes belong together; `whole` are the sizes of the space with its borders."""
    sizes = [size // block for size, block in zip(whole, blocks, strict=True)]
    shape = (space.shape[0] * math.prod(blocks), *sizes, space.shape[-1])
    require_shape(operator, batches, shape)
    if any(size % block for size, block in zip(whole, blocks, strict=True)):
        msg = f"{operator.op}: {whole} with borders is no whole number of blocks of {blocks}."
        raise ConversionError(msg, remedy="Convert the model with a dilated convolution instead.")


def _pieces(
    space: Tensor, batches: Tensor, blocks: list[int], borders: list[int]
) -> list[tuple[list[Axis], int, int]]:
    """Return axes (source: the space, output: the batches) and the first elements of every piece."""
    wide, deep = steps_of(space.shape), steps_of(batches.shape)
    weights = steps_of(blocks)  # of a position in the block, in batches of the space
    cut = [
        _cut(size, block, border)
        for size, block, border in zip(space.shape[1:], blocks, borders, strict=False)
    ]
    found = []
    for pieces in itertools.product(*cut):
        axes = [Axis(space.shape[0], wide[0], deep[0])]
        in_space = in_batches = 0
        for number, piece in enumerate(pieces):
            far, near = deep[0] * space.shape[0] * weights[number], deep[number + 1]
            axes += [
                Axis(piece.whole, blocks[number] * wide[number + 1], near),
                Axis(piece.inside, wide[number + 1], far),
            ]
            in_space += piece.position * wide[number + 1]
            in_batches += piece.block * near + piece.first * far
        found.append(([*axes, Axis(space.shape[-1], 1, 1)], in_space, in_batches))
    return found


def _cut(size: int, block: int, border: int) -> list[_Piece]:
    """Return the pieces of `size` positions, of which the first lies `border` behind a block's beginning."""
    pieces, position = [], 0
    while position < size:
        number, first = divmod(position + border, block)
        left = size - position
        if first == 0 and left >= block:
            pieces.append(_Piece(position, number, left // block, 0, block))
        else:
            pieces.append(_Piece(position, number, 1, first, min(block - first, left)))
        position += pieces[-1].whole * pieces[-1].inside
    return pieces
