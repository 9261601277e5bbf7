"""Operators that move data: the bytes of TFLite Micro on named cases, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import join, model_of, spec
from tests.converters.mcu.movement_cases import (
    DTYPES,
    Case,
    batch_to_space,
    broadcast_to,
    check,
    concatenation,
    depth_to_space,
    drawn,
    gather,
    mirror_pad,
    numbers,
    pack,
    pad,
    resize,
    slice_,
    space_to_batch,
    space_to_depth,
    split,
    split_v,
    strided_slice,
    transpose,
    unpack,
    value,
)

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


def test_inputs_of_other_scales_than_the_output_are_refused():
    tensors = [value(1, 2, 4), spec(1, 2, 4, scale=0.25, zero_point=-3, name="loud")]
    model = model_of("CONCATENATION", tensors, [value(1, 4, 4, name="both")], {"axis": 1})
    with pytest.raises(ConversionError, match="CONCATENATION: input 'loud' and output 'both' have different"):
        compile_model(model, name="model")


REFUSED = {
    "fused activation RELU": (
        "CONCATENATION",
        [value(1, 2), value(1, 2)],
        [value(1, 4)],
        {"axis": 1, "fused_activation_function": "RELU"},
    ),
    "ellipsis_mask": strided_slice((4, 4), (0, 0), (4, 4), (1, 1), "int8", ellipsis_mask=1),
    "5 dimensions, at most 4": strided_slice((2,) * 5, (0,) * 5, (2,) * 5, (1,) * 5, "int8"),
    "lies outside of": ("SLICE", [value(4), numbers(2), numbers(3)], [value(3)], {}),
    "more than it has along axis 0": mirror_pad((2, 3), ((3, 0), (0, 0)), "SYMMETRIC", "int8"),
    "takes 0 to 9 of 4": gather((4, 3), [0, 9], 0, "int8"),
    "axis 3 of tensor": ("UNPACK", [value(2, 2)], [value(2), value(2)], {"axis": 3, "num": 2}),
    r"order \[0, 0\]": ("TRANSPOSE", [value(2, 2), numbers(0, 0)], [value(2, 2)], {}),
    "align_corners and half_pixel_centers": resize(
        "RESIZE_BILINEAR", (1, 2, 2, 1), (4, 4), "int8", align_corners=True, half_pixel_centers=True
    ),
    "is int16, expected int8": resize("RESIZE_BILINEAR", (1, 2, 2, 1), (4, 4), "int16"),
    "does not broadcast": broadcast_to((2, 3), (4, 3), "int8"),
    r"is \[1, 2\], expected \[1, 3\]": ("PAD", [value(1, 2), numbers((0, 0), (0, 1))], [value(1, 2)], {}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_run_is_an_error_that_names_the_operator(words):
    op, *rest = REFUSED[words]
    with pytest.raises(ConversionError, match=f"^{op}.*{words}") as raised:
        compile_model(model_of(op, *rest), name="model")
    assert raised.value.remedy
