"""Operators of one float32 input, and L2_NORMALIZATION, bit for bit against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, model_of, spec
from tests.converters.mcu.test_arithmetic import check

Run = Any
# Zeros of both signs, bounds of the functions and their neighbours, the smallest and the largest numbers.
EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    3.0,
    -3.0,
    6.0,
    6.5,
    -9.0,
    -9.1,
    16.6,
    16.7,
    1e-38,
    -1e-38,
    88.0,
    -88.0,
    3e38,
    -3e38,
]
BOTH_SIGNS = ["ABS", "ELU", "EXP", "HARD_SWISH", "LOGISTIC", "NEG", "RELU", "RELU6", "TANH"]


def batch(positive: bool) -> np.ndarray:
    draw = np.random.default_rng(3)
    numbers = np.concatenate([np.array(EDGES), draw.normal(0, 5, 500), draw.normal(0, 0.1, 482)])
    return (np.abs(numbers) if positive else numbers).astype(np.float32).reshape(1, 1000)


@pytest.mark.parametrize(
    "positive, operators",
    [(False, [(op, {}) for op in BOTH_SIGNS]), (True, [("LOG", {}), ("SQRT", {}), ("RSQRT", {})])],
)
def test_functions(positive: bool, operators: list[Any], run_c: Run, run_tflm: Run) -> None:
    slopes = [] if positive else [("LEAKY_RELU", {"alpha": slope}) for slope in (0.1, -0.5, 1.5)]
    real = [spec(1000, dtype="float32")]
    cases = [(op, real, real, options) for op, options in operators + slopes]
    inputs = [batch(positive)] * len(cases)
    assert_same(run_c(join(cases), inputs), run_tflm(join(cases), inputs), [case[0] for case in cases])


@pytest.mark.parametrize("op, low, high", [("RELU_0_TO_1", 0, 1), ("RELU_N1_TO_1", -1, 1)])
def test_bounds_that_tflite_micro_lacks(op: str, low: float, high: float, run_c: Run) -> None:
    real = [spec(1000, dtype="float32")]
    (found,) = run_c(model_of(op, real, real), [batch(False)])
    np.testing.assert_array_equal(found, np.clip(batch(False), low, high))


def test_length_one(run_c: Run, run_tflm: Run) -> None:
    """Rows of zeros, of the largest numbers, of one element, and of many."""
    cases = [
        (
            "L2_NORMALIZATION",
            [Spec((3, depth), dtype, *(given if dtype == "int8" else (None, 0)))],
            [Spec((3, depth), dtype, *((1 / 128, 0) if dtype == "int8" else (None, 0)))],
            {},
        )
        for dtype in ("int8", "float32")
        for depth, given in (
            (1, (0.1, -128)),
            (2, (0.1, 0)),
            (7, (0.02, 5)),
            (300, (0.5, 127)),
            (3000, (0.5, 127)),
        )
    ]
    check(run_c, run_tflm, cases)
    model = join(cases[:3])
    zeros = [np.full((1, 3, depth), zero, np.int8) for depth, zero in ((1, -128), (2, 0), (7, 5))]
    assert_same(run_c(model, zeros), run_tflm(model, zeros))


def test_a_length_in_other_units() -> None:
    model = model_of("L2_NORMALIZATION", [spec(4, scale=0.1)], [spec(4, scale=0.1)])
    with pytest.raises(ConversionError, match=r"expected 0\.0078125 and 0") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
