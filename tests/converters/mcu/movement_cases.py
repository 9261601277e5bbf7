"""One operator that moves data, as a case that `models.join` takes; many of them run as one model."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.converters.mcu.models import join, spec

DTYPES = ("int8", "int16", "float32")
Case = tuple[str, list[Any], list[Any], dict[str, Any]]


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
