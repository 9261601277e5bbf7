"""Operators that move data: the bytes of TFLite Micro, on named cases and on drawn ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite

from tests.converters.mcu.models import join, spec

DTYPES = ("int8", "int16", "float32")
Case = tuple[str, list[Any], list[Any], dict[str, Any]]
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


def value(*shape: int, dtype: str = "int8", **more: Any) -> Any:
    """Return a tensor that is quantized where its type asks for it."""
    quantized = {"int8": {"scale": 0.5, "zero_point": -3}, "int16": {"scale": 0.25}}.get(dtype, {})
    return spec(*shape, dtype=dtype, **{**quantized, **more})


def numbers(*values: Any, shape: tuple[int, ...] | None = None) -> Any:
    data = np.array(values, np.int32)
    return spec(dtype="int32", data=data if shape is None else data.reshape(shape))


def scalar(number: int) -> Any:
    return spec(dtype="int32", data=np.array(number, np.int32))


def concatenation(axis: int, *shapes: tuple[int, ...], dtype: str) -> Case:
    out = list(shapes[0])
    out[axis] = sum(shape[axis] for shape in shapes)
    inputs = [value(*shape, dtype=dtype) for shape in shapes]
    return "CONCATENATION", inputs, [value(*out, dtype=dtype)], {"axis": axis}


def pack(axis: int, count: int, shape: tuple[int, ...], dtype: str) -> Case:
    out = list(shape)
    out.insert(axis % (len(shape) + 1), count)
    inputs = [value(*shape, dtype=dtype) for _ in range(count)]
    return "PACK", inputs, [value(*out, dtype=dtype)], {"axis": axis, "values_count": count}


def unpack(axis: int, shape: tuple[int, ...], dtype: str) -> Case:
    out = [size for i, size in enumerate(shape) if i != axis % len(shape)]
    outputs = [value(*out, dtype=dtype) for _ in range(shape[axis])]
    return "UNPACK", [value(*shape, dtype=dtype)], outputs, {"axis": axis, "num": len(outputs)}


def split(axis: int, count: int, shape: tuple[int, ...], dtype: str) -> Case:
    out = list(shape)
    out[axis] //= count
    outputs = [value(*out, dtype=dtype) for _ in range(count)]
    return "SPLIT", [scalar(axis), value(*shape, dtype=dtype)], outputs, {"num_splits": count}


def split_v(axis: int, sizes: tuple[int, ...], shape: tuple[int, ...], dtype: str) -> Case:
    outputs = []
    for size in sizes:
        out = list(shape)
        out[axis] = size
        outputs.append(value(*out, dtype=dtype))
    inputs = [value(*shape, dtype=dtype), numbers(*sizes), scalar(axis)]
    return "SPLIT_V", inputs, outputs, {"num_splits": len(sizes)}


def slice_(shape: tuple[int, ...], begin: tuple[int, ...], size: tuple[int, ...], dtype: str) -> Case:
    out = [w - b if s == -1 else s for w, b, s in zip(shape, begin, size, strict=True)]
    inputs = [value(*shape, dtype=dtype), numbers(*begin), numbers(*size)]
    return "SLICE", inputs, [value(*out, dtype=dtype)], {}


def strided_slice(
    shape: tuple[int, ...],
    begin: tuple[int, ...],
    end: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: str,
    **masks: int,
) -> Case:
    index: list[Any] = []
    for axis, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        if masks.get("shrink_axis_mask", 0) >> axis & 1:
            index.append(b)
        else:
            first = None if masks.get("begin_mask", 0) >> axis & 1 else b
            last = None if masks.get("end_mask", 0) >> axis & 1 else e
            index.append(slice(first, last, s))
    out = np.zeros(shape)[tuple(index)].shape
    inputs = [value(*shape, dtype=dtype), numbers(*begin), numbers(*end), numbers(*strides)]
    return "STRIDED_SLICE", inputs, [value(*out, dtype=dtype)], masks


def pad(shape: tuple[int, ...], paddings: tuple[tuple[int, int], ...], dtype: str, op: str = "PAD") -> Case:
    out = [size + sum(pair) for size, pair in zip(shape, paddings, strict=True)]
    inputs = [value(*shape, dtype=dtype), numbers(*paddings)]
    if op == "PADV2":
        inputs.append(value(dtype=dtype, data=np.array([7], dtype)))
    return op, inputs, [value(*out, dtype=dtype)], {}


def mirror_pad(shape: tuple[int, ...], paddings: tuple[tuple[int, int], ...], mode: str, dtype: str) -> Case:
    _, inputs, outputs, _ = pad(shape, paddings, dtype)
    return "MIRROR_PAD", inputs, outputs, {"mode": mode}


def transpose(shape: tuple[int, ...], order: tuple[int, ...], dtype: str) -> Case:
    out = [shape[axis] for axis in order]
    return "TRANSPOSE", [value(*shape, dtype=dtype), numbers(*order)], [value(*out, dtype=dtype)], {}


def depth_to_space(shape: tuple[int, int, int, int], block: int, dtype: str) -> Case:
    n, h, w, c = shape
    out = n, h * block, w * block, c // block**2
    return "DEPTH_TO_SPACE", [value(*shape, dtype=dtype)], [value(*out, dtype=dtype)], {"block_size": block}


def space_to_depth(shape: tuple[int, int, int, int], block: int, dtype: str) -> Case:
    n, h, w, c = shape
    out = n, h // block, w // block, c * block**2
    return "SPACE_TO_DEPTH", [value(*shape, dtype=dtype)], [value(*out, dtype=dtype)], {"block_size": block}


def space_to_batch(
    shape: tuple[int, ...], blocks: tuple[int, ...], paddings: tuple[tuple[int, int], ...], dtype: str
) -> Case:
    n, *space, c = shape
    sizes = [(s + sum(p)) // b for s, p, b in zip(space, paddings, blocks, strict=True)]
    out = n * int(np.prod(blocks)), *sizes, c
    inputs = [value(*shape, dtype=dtype), numbers(*blocks), numbers(*paddings)]
    return "SPACE_TO_BATCH_ND", inputs, [value(*out, dtype=dtype)], {}


def batch_to_space(
    shape: tuple[int, ...], blocks: tuple[int, ...], crops: tuple[tuple[int, int], ...], dtype: str
) -> Case:
    n, *space, c = shape
    sizes = [s * b - sum(p) for s, p, b in zip(space, crops, blocks, strict=True)]
    out = n // int(np.prod(blocks)), *sizes, c
    inputs = [value(*shape, dtype=dtype), numbers(*blocks), numbers(*crops)]
    return "BATCH_TO_SPACE_ND", inputs, [value(*out, dtype=dtype)], {}


def gather(shape: tuple[int, ...], indices: Any, axis: int, dtype: str, batch_dims: int = 0) -> Case:
    data = np.array(indices, np.int32)
    at = axis % len(shape)
    out = (*shape[:at], *data.shape[batch_dims:], *shape[at + 1 :])
    inputs = [value(*shape, dtype=dtype), spec(dtype="int32", data=data)]
    return "GATHER", inputs, [value(*out, dtype=dtype)], {"axis": axis, "batch_dims": batch_dims}


def resize(op: str, shape: tuple[int, int, int, int], size: tuple[int, int], dtype: str, **how: bool) -> Case:
    out = shape[0], *size, shape[3]
    return op, [value(*shape, dtype=dtype), numbers(*size)], [value(*out, dtype=dtype)], how


def broadcast_to(shape: tuple[int, ...], out: tuple[int, ...], dtype: str) -> Case:
    return "BROADCAST_TO", [value(*shape, dtype=dtype), numbers(*out)], [value(*out, dtype=dtype)], {}


def drawn(cases: list[Case], count: int = 2) -> list[Any]:
    """Return `count` samples for each tensor that the caller fills, of the whole range of its type."""
    draw = np.random.default_rng(len(cases))
    found = []
    for tensor in (t for case in cases for t in case[1] if t is not None and t.data is None):
        if tensor.dtype == "float32":
            found.append(draw.standard_normal((count, *tensor.shape)).astype(np.float32))
        else:
            limits = np.iinfo(tensor.dtype)
            found.append(draw.integers(limits.min, limits.max + 1, (count, *tensor.shape), tensor.dtype))
    return found


def check(cases: list[Case], run_c: Any, run_tflm: Any) -> None:
    """Run many operators as one model, in generated C and in TFLite Micro."""
    model, batch = join(cases), drawn(cases)
    for found, expected in zip(run_c(model, batch), run_tflm(model, batch), strict=True):
        np.testing.assert_array_equal(found, expected)


NAMED: dict[str, list[Case]] = {
    "concatenation": [
        case
        for dtype in DTYPES
        for case in (
            concatenation(3, (1, 3, 2, 4), (1, 3, 2, 1), dtype=dtype),
            concatenation(-1, (2, 3), (2, 5), (2, 1), dtype=dtype),
            concatenation(1, (1, 4, 8), (1, 2, 8), dtype=dtype),
            concatenation(0, (3,), (2,), dtype=dtype),
        )
    ],
    "pack": [
        case
        for d in DTYPES
        for case in (pack(0, 3, (2, 4), d), pack(-1, 2, (3, 5), d), pack(1, 2, (2, 4), d))
    ],
    "unpack": [case for d in DTYPES for case in (unpack(0, (3, 2, 4), d), unpack(-1, (2, 3), d))],
    "split": [
        case
        for d in DTYPES
        for case in (split(0, 2, (4, 6), d), split(-1, 3, (2, 2, 6), d), split(1, 2, (1, 4, 4), d))
    ],
    "split_v": [
        case
        for d in DTYPES
        for case in (split_v(1, (1, 4, 3), (2, 8), d), split_v(-1, (2, 2), (1, 3, 1, 4), d))
    ],
    "slice": [
        case
        for d in DTYPES
        for case in (
            slice_((4, 6), (1, 0), (2, -1), d),
            slice_((2, 3, 4, 5), (0, 1, 2, 3), (2, 2, 1, 2), d),
            slice_((8,), (4,), (4,), d),
            slice_((1, 2, 3, 4, 5), (0, 1, 0, 1, 0), (1, 1, 3, 2, 5), d),
        )
    ],
    "strided_slice": [
        case
        for d in DTYPES
        for case in (
            strided_slice((1, 5, 1, 4), (0, 1, 0, 0), (1, 5, 1, 4), (1, 1, 1, 1), d),
            strided_slice((4, 6), (-1, 5), (-5, -7), (-1, -2), d),
            strided_slice((4, 6), (2, 1), (0, 0), (1, 2), d, end_mask=3, shrink_axis_mask=1),
            strided_slice((3, 4, 5), (0, -2, 1), (0, 100, 0), (1, 1, 3), d, begin_mask=1, end_mask=5),
            strided_slice((9,), (0,), (0,), (-3,), d, begin_mask=1, end_mask=1),
        )
    ],
    "pad": [
        case
        for d in DTYPES
        for case in (
            pad((1, 3, 4, 2), ((0, 0), (1, 2), (2, 0), (0, 0)), d),
            pad((2, 3), ((1, 0), (0, 1)), d),
            pad((1, 4), ((0, 0), (0, 0)), d),
        )
    ],
    "padv2": [pad((1, 3, 4, 2), ((0, 0), (1, 2), (2, 0), (1, 1)), d, "PADV2") for d in DTYPES],
    "mirror_pad": [
        mirror_pad((1, 3, 4, 2), ((0, 0), (1, 2), (2, 0), (0, 1)), mode, d)
        for d in ("int8", "float32")
        for mode in ("REFLECT", "SYMMETRIC")
    ],
    "transpose": [
        transpose(shape, order, d)
        for d in DTYPES
        for shape, order in (
            ((2, 3), (1, 0)),
            ((1, 4, 5, 3), (0, 3, 1, 2)),
            ((2, 3, 4), (2, 0, 1)),
            ((2, 3, 4), (1, 0, 2)),
            ((2, 2, 3, 2, 2), (4, 2, 3, 0, 1)),
        )
    ],
    "depth_to_space": [depth_to_space((2, 3, 2, 8), 2, d) for d in ("int8", "float32")],
    "space_to_depth": [space_to_depth((2, 4, 6, 3), 2, d) for d in ("int8", "float32")],
    "space_to_batch": [
        case
        for d in ("int8", "float32")
        for case in (
            space_to_batch((1, 4, 6, 3), (2, 2), ((0, 0), (0, 0)), d),
            space_to_batch((2, 8, 9, 2), (2, 3), ((0, 0), (0, 0)), d),
            space_to_batch((1, 9, 4), (3,), ((0, 0),), d),
        )
    ],
    "batch_to_space": [
        case
        for d in ("int8", "float32")
        for case in (
            batch_to_space((4, 2, 3, 3), (2, 2), ((0, 0), (0, 0)), d),
            batch_to_space((12, 3, 3, 2), (2, 3), ((1, 2), (1, 1)), d),
            batch_to_space((3, 3, 4), (3,), ((1, 1),), d),
        )
    ],
    "gather": [
        case
        for d in ("int8", "float32")
        for case in (
            gather((4, 3), [2, 0, 3, 3], 0, d),
            gather((2, 5, 3), [[4, 0], [1, 1]], 1, d),
            gather((2, 3, 4), [3, 1], -1, d),
            gather((2, 5, 3), [[4, 0], [1, 1]], 1, d, batch_dims=1),
        )
    ],
    "resize_nearest": [
        resize("RESIZE_NEAREST_NEIGHBOR", shape, size, d, **how)
        for d in DTYPES
        for how in ({}, {"align_corners": True}, {"half_pixel_centers": True})
        for shape, size in (((1, 3, 4, 2), (6, 8)), ((2, 5, 7, 1), (3, 4)))
    ],
    "resize_bilinear": [
        resize("RESIZE_BILINEAR", shape, size, d, **how)
        for d in ("int8", "float32")
        for how in ({}, {"align_corners": True}, {"half_pixel_centers": True})
        for shape, size in (((1, 3, 4, 2), (6, 8)), ((2, 5, 7, 1), (3, 4)), ((1, 2, 2, 3), (7, 1)))
    ],
    "broadcast_to": [
        broadcast_to(shape, out, d)
        for d in ("int8", "float32")
        for shape, out in (((1, 3), (2, 3)), ((2, 1, 3), (2, 4, 3)), ((3,), (2, 2, 3)))
    ],
}


@pytest.mark.parametrize("name", NAMED)
def test_named_cases_give_the_bytes_of_tflite_micro(name, run_c, run_tflm):
    check(NAMED[name], run_c, run_tflm)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(
    ("shape", "blocks", "paddings"),
    [
        ((2, 5, 7, 2), (2, 3), ((1, 2), (1, 1))),
        ((1, 7, 4), (3,), ((1, 1),)),
        ((1, 3, 3, 1), (4, 2), ((3, 2), (0, 3))),
    ],
)
def test_space_to_batch_pads_with_the_zero_point_as_tflite_says(
    shape, blocks, paddings, dtype, run_c, run_tflm
):
    """TFLite Micro's own border is memory that it never wrote: a PAD before it makes the expected answer."""
    padded = pad(shape, ((0, 0), *paddings, (0, 0)), dtype)
    whole = space_to_batch(padded[2][0].shape, blocks, tuple((0, 0) for _ in blocks), dtype)
    samples = drawn([padded])
    expected = run_tflm(join([whole]), run_tflm(join([padded]), samples))
    np.testing.assert_array_equal(
        run_c(join([space_to_batch(shape, blocks, paddings, dtype)]), samples), expected
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
