"""Operators that move data: the bytes of TFLite Micro on drawn shapes, axes, ranges, masks and paddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite

from tests.converters.mcu.movement_cases import (
    DTYPES,
    Case,
    batch_to_space,
    check,
    concatenation,
    depth_to_space,
    gather,
    mirror_pad,
    pack,
    pad,
    resize,
    slice_,
    space_to_depth,
    split,
    split_v,
    strided_slice,
    transpose,
    unpack,
)

QUICK = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a failing case of 15 operators is found by its index; shrinking takes minutes
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


dimension = st.integers(1, 5)
dtypes = st.sampled_from(DTYPES)


def shapes(low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(dimension, min_size=low, max_size=high).map(tuple)


@composite
def concatenations(draw: DrawFn) -> Case:
    shape, dtype = draw(shapes(1, 4)), draw(dtypes)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for size in draw(st.lists(dimension, min_size=1, max_size=4)):
        part = list(shape)
        part[axis] = size
        parts.append(tuple(part))
    return concatenation(axis, *parts, dtype=dtype)


@composite
def packs(draw: DrawFn) -> Case:
    shape = draw(shapes(1, 3))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return draw(st.sampled_from([pack(axis, count, shape, draw(dtypes)) for count in (1, 2, 3)]))


@composite
def unpacks(draw: DrawFn) -> Case:
    shape = draw(shapes(2, 4))
    return unpack(draw(st.integers(-len(shape), len(shape) - 1)), shape, draw(dtypes))


@composite
def splits(draw: DrawFn) -> Case:
    shape, dtype = list(draw(shapes(1, 4))), draw(dtypes)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    if draw(st.booleans()):
        count = draw(dimension)
        shape[axis] *= count
        return split(axis, count, tuple(shape), dtype)
    sizes = tuple(draw(st.lists(dimension, min_size=1, max_size=4)))
    shape[axis] = sum(sizes)
    return split_v(axis, sizes, tuple(shape), dtype)


@composite
def slices(draw: DrawFn) -> Case:
    shape = draw(shapes(1, 5))
    begin = tuple(draw(st.integers(0, size - 1)) for size in shape)
    size = tuple(draw(st.sampled_from([-1, *range(1, w - b + 1)])) for w, b in zip(shape, begin, strict=True))
    return slice_(shape, begin, size, draw(dtypes))


@composite
def strided_slices(draw: DrawFn) -> Case:
    shape = draw(shapes(1, 4))
    numbers = [draw(st.integers(-7, 7)) for _ in range(2 * len(shape))]
    strides = tuple(draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape)
    shrink = draw(st.integers(0, (1 << len(shape)) - 1)) & draw(st.integers(0, (1 << len(shape)) - 1))
    begin = [
        number % size if shrink >> axis & 1 else number
        for axis, (number, size) in enumerate(zip(numbers, shape, strict=False))
    ]
    strides = tuple(1 if shrink >> axis & 1 else stride for axis, stride in enumerate(strides))
    masks = {name: draw(st.integers(0, 15)) & ~shrink for name in ("begin_mask", "end_mask")}
    end = tuple(numbers[len(shape) :])
    _, _, (output,), _ = strided_slice(shape, tuple(begin), end, strides, "int8", **masks)
    for axis, size in enumerate(output.shape):  # a tensor without elements is nothing that TFLite Micro takes
        if size == 0:
            masks = {name: mask | 1 << axis for name, mask in masks.items()}
    return strided_slice(shape, tuple(begin), end, strides, draw(dtypes), **masks, shrink_axis_mask=shrink)


@composite
def pads(draw: DrawFn) -> Case:
    shape = draw(shapes(1, 4))
    pairs = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in shape)
    return pad(shape, pairs, draw(dtypes), draw(st.sampled_from(["PAD", "PADV2"])))


@composite
def mirror_pads(draw: DrawFn) -> Case:
    shape, mode = draw(shapes(1, 4)), draw(st.sampled_from(["REFLECT", "SYMMETRIC"]))
    room = [size - (mode == "REFLECT") for size in shape]
    pairs = tuple((draw(st.integers(0, most)), draw(st.integers(0, most))) for most in room)
    return mirror_pad(shape, pairs, mode, draw(st.sampled_from(["int8", "float32"])))


@composite
def transposes(draw: DrawFn) -> Case:
    shape = draw(shapes(1, 5))
    return transpose(shape, tuple(draw(st.permutations(range(len(shape))))), draw(dtypes))


@composite
def block_moves(draw: DrawFn) -> Case:
    n, h, w, c = draw(shapes(4, 4))
    block, dtype = draw(st.integers(1, 3)), draw(st.sampled_from(["int8", "float32"]))
    if draw(st.booleans()):
        return depth_to_space((n, h, w, c * block**2), block, dtype)
    return space_to_depth((n, h * block, w * block, c), block, dtype)


@composite
def batches_to_space(draw: DrawFn) -> Case:
    n, *space, c = draw(shapes(3, 4))
    blocks = tuple(draw(st.integers(1, 3)) for _ in space)
    crops = []
    for size, block in zip(space, blocks, strict=True):
        first = draw(st.integers(0, size * block - 1))
        crops.append((first, draw(st.integers(0, size * block - 1 - first))))
    shape = (n * int(np.prod(blocks)), *space, c)
    return batch_to_space(shape, blocks, tuple(crops), draw(st.sampled_from(["int8", "float32"])))


@composite
def gathers(draw: DrawFn) -> Case:
    shape = draw(shapes(1, 4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    data = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=5))
    return gather(shape, data, axis, draw(st.sampled_from(["int8", "float32"])))


@composite
def resizes(draw: DrawFn) -> Case:
    op = draw(st.sampled_from(["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"]))
    n, h, w, c = draw(st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)))
    size = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    how = draw(st.sampled_from(["", "align_corners", "half_pixel_centers"]))
    return resize(
        op, (n, h, w, c), size, draw(st.sampled_from(["int8", "float32"])), **({how: True} if how else {})
    )


FAMILIES = {
    "concatenation": concatenations(),
    "pack": packs(),
    "unpack": unpacks(),
    "split": splits(),
    "slice": slices(),
    "strided_slice": strided_slices(),
    "pad": pads(),
    "mirror_pad": mirror_pads(),
    "transpose": transposes(),
    "block": block_moves(),
    "batch_to_space": batches_to_space(),
    "gather": gathers(),
    "resize": resizes(),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_cases_give_the_bytes_of_tflite_micro(family, run_c, run_tflm):
    """Many cases make one model, so that hundreds cost few compilations and few interpreters."""

    @QUICK
    @given(cases=st.lists(FAMILIES[family], min_size=15, max_size=15))
    def run(cases: list[Case]) -> None:
        check(cases, run_c, run_tflm)

    run()
