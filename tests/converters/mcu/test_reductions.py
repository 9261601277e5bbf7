"""MEAN, SUM, REDUCE_MAX, ARG_MAX and ARG_MIN over any dimensions, against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, spec
from tests.converters.mcu.test_arithmetic import check

Run = Any
AXES = [(1, 2), (-1,), (0,), (1,), (0, 1, 2, 3), (2, 3), (1, 3), (1, 1)]
QUANTIZED = {
    "int8": [((0.1, -7), (0.1, -7)), ((0.1, -128), (0.013, 127)), ((0.02, 5), (0.4, -100))],
    "int16": [((1e-3, 0), (1e-3, 0)), ((1e-3, 0), (3e-3, 0))],
    "float32": [((None, 0), (None, 0))],
}


def reduction(op: str, shape: tuple[int, ...], axes: Any, dtype: str, quantization: Any, keep: bool) -> Any:
    dims = {axis % len(shape) for axis in axes}
    kept = [1 if axis in dims else size for axis, size in enumerate(shape) if keep or axis not in dims]
    one, out = quantization
    source = Spec(shape, dtype, *one)
    return (
        op,
        [source, spec(dtype="int32", data=list(axes))],
        [Spec(tuple(kept), dtype, *out)],
        {"keep_dims": keep},
    )


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@pytest.mark.parametrize("op", ["MEAN", "SUM"])
def test_sums_over_any_dimensions(op: str, dtype: str, run_c: Run, run_tflm: Run) -> None:
    cases = [
        reduction(op, (2, 3, 4, 5), axes, dtype, quantization, keep=number % 2 == 0)
        for number, axes in enumerate(AXES)
        for quantization in QUANTIZED[dtype]
    ]
    check(run_c, run_tflm, cases)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_largest_over_any_dimensions(dtype: str, run_c: Run, run_tflm: Run) -> None:
    same = QUANTIZED[dtype][0]
    cases = [
        reduction("REDUCE_MAX", (2, 3, 4, 5), axes, dtype, same, keep=bool(len(axes) % 2)) for axes in AXES
    ]
    check(run_c, run_tflm, cases)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("op", ["ARG_MAX", "ARG_MIN"])
def test_place_of_the_largest(op: str, dtype: str, run_c: Run, run_tflm: Run) -> None:
    cases = []
    for axis in (0, 1, 2, -1):
        kept = [size for number, size in enumerate((3, 4, 5)) if number != axis % 3]
        scale = 0.1 if dtype == "int8" else None
        cases.append((
            op,
            [Spec((3, 4, 5), dtype, scale), spec(dtype="int32", data=[axis])],
            [Spec(tuple(kept), "int32")],
            {"output_type": "INT32"},
        ))  # fmt: skip
    check(run_c, run_tflm, cases)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.tuples(st.floats(1e-3, 1.0), st.integers(-128, 127)),
    st.tuples(st.floats(1e-3, 1.0), st.integers(-128, 127)),
    st.data(),
)
def test_any_shape_and_quantization(
    run_c: Run, run_tflm: Run, shape: Any, one: Any, out: Any, data: Any
) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=2, unique=True))
    cases = [reduction(op, tuple(shape), axes, "int8", (one, out), keep=True) for op in ("MEAN", "SUM")]
    check(run_c, run_tflm, cases)


def test_the_mean_of_ten_thousand(run_c: Run, run_tflm: Run) -> None:
    model = join([reduction("MEAN", (1, 100, 100, 2), (1, 2), "int8", ((0.1, 127), (0.09, -128)), keep=True)])
    batch = [np.random.default_rng(1).integers(-128, 128, (3, 1, 100, 100, 2)).astype(np.int8)]
    assert_same(run_c(model, batch), run_tflm(model, batch))


def test_dimensions_that_are_computed() -> None:
    model = join([("MEAN", [spec(4, 4, scale=1), spec(1, dtype="int32")], [spec(4, scale=1)], {})])
    with pytest.raises(ConversionError, match="must be constant") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy


def test_a_dimension_that_there_is_not() -> None:
    model = join([("SUM", [spec(4, 4, scale=1), spec(dtype="int32", data=[2])], [spec(4, scale=1)], {})])
    with pytest.raises(ConversionError, match="dimensions"):
        compile_model(model, name="model")
