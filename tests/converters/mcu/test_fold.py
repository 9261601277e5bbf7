"""Constant folding: shapes and what is computed from them never reach the device."""

from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Op, build, spec

SLICE = {"shrink_axis_mask": 1}


def reshape_by_shape(axis: int) -> bytes:
    """Return a model that flattens all but one dimension, with the shape computed as Keras writes it."""
    tensors = [
        spec(2, 3, 4, scale=0.5),
        spec(3, dtype="int32", name="shape"),
        spec(dtype="int32", data=[axis]),
        spec(dtype="int32", data=[axis + 1]),
        spec(dtype="int32", data=[1]),
        spec(dtype="int32", name="size"),
        spec(dtype="int32", data=np.array(-1)),
        spec(2, dtype="int32", name="target"),
        spec((2, 3, 4)[axis], 24 // (2, 3, 4)[axis], scale=0.5),
        spec((2, 3, 4)[axis], 24 // (2, 3, 4)[axis], scale=0.5, name="out"),
    ]
    operators = [
        Op("SHAPE", [0], [1], {"out_type": "INT32"}),
        Op("STRIDED_SLICE", [1, 2, 3, 4], [5], SLICE),
        Op("PACK", [5, 6], [7], {"axis": 0, "values_count": 2}),
        Op("RESHAPE", [0, 7], [8]),
        Op("MAXIMUM", [8, 8], [9]),
    ]
    return build(tensors, operators, [0], [9])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shape_that_is_computed_costs_nothing(axis, run_c):
    model = reshape_by_shape(axis)
    code = compile_model(model, name="model")
    assert len(code.program.calls) == 1
    assert not code.program.constants
    frames = np.random.default_rng(0).integers(-128, 128, (3, 2, 3, 4), np.int8)
    shape = 3, (2, 3, 4)[axis], -1
    np.testing.assert_array_equal(run_c(model, frames), frames.reshape(shape))


def test_an_output_that_is_constant_lies_in_the_arena(run_c):
    tensors = [spec(2, 3, scale=0.5), spec(2, dtype="int32", name="shape"), spec(2, 3, scale=0.5)]
    operators = [Op("SHAPE", [0], [1], {"out_type": "INT32"}), Op("MAXIMUM", [0, 0], [2])]
    model = build(tensors, operators, [0], [1, 2])
    frames = np.random.default_rng(0).integers(-128, 128, (2, 2, 3), np.int8)
    shapes, same = run_c(model, [frames])
    np.testing.assert_array_equal(shapes, [[2, 3], [2, 3]])
    np.testing.assert_array_equal(same, frames)


def test_shapes_that_only_the_device_would_know_are_refused():
    tensors = [spec(2, 4, scale=0.5), spec(2, dtype="int32", name="begin"), spec(dtype="int32", data=[1, 2])]
    model = build([*tensors, spec(1, 2, scale=0.5)], [Op("SLICE", [0, 1, 2], [3])])
    with pytest.raises(ConversionError, match="SLICE: tensor 'begin' must be constant"):
        compile_model(model, name="model")


def test_a_reshape_to_another_number_of_elements_is_refused():
    tensors = [
        spec(2, 4, scale=0.5, name="in"),
        spec(dtype="int32", data=[9]),
        spec(9, scale=0.5, name="out"),
    ]
    with pytest.raises(ConversionError, match=r"'in' \[2, 4\] into 'out' \[9\]"):
        compile_model(build(tensors, [Op("RESHAPE", [0, 1], [2])]), name="model")
