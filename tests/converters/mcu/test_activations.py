"""Operators of one int8 input, as tables: every input under every quantization, against TFLite Micro."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, every_int8, join, model_of, spec

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]

FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
SAME = ("RELU6",)  # TFLite Micro clamps it without rescaling
OPERATORS: dict[str, dict[str, Any]] = {
    "ABS": {}, "ELU": {}, "HARD_SWISH": {}, "LEAKY_RELU": {"alpha": 0.3}, "LOGISTIC": {}, "QUANTIZE": {},
    "RELU": {}, "RELU6": {}, "TANH": {},
}  # fmt: skip
# Scale and zero point of input and output: equal, zero points at the edges, ratios of the extremes.
NAMED = [
    ((0.5, 0), (0.5, 0)),
    ((0.1, -128), (0.05, 127)),
    ((0.1, 127), (0.05, -128)),
    ((1e-4, 3), (1e-2, -5)),
    ((8.0, -7), (0.125, 9)),
    ((1 / 16, 0), (1 / 3, 0)),
]
quantization = st.tuples(st.floats(1e-4, 4.0), st.integers(-128, 127))


def case(op: str, given_in: tuple[float, int], given_out: tuple[float, int]) -> tuple[Any, ...]:
    (scale, zero), (out_scale, out_zero) = given_in, FIXED.get(op, given_in if op in SAME else given_out)
    if op == "HARD_SWISH":
        out_scale = max(out_scale, scale / 100)
    return (
        op,
        [spec(256, scale=scale, zero_point=zero)],
        [Spec((256,), "int8", out_scale, out_zero)],
        OPERATORS[op],
    )


@pytest.mark.parametrize("op", OPERATORS)
def test_every_input_of_named_quantizations(op: str, run_c: Run, run_tflm: Run) -> None:
    model = join([case(op, *named) for named in NAMED])
    assert_same(run_c(model, every_int8(len(NAMED))), run_tflm(model, every_int8(len(NAMED))), op)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(quantization, quantization), min_size=2, max_size=2))
def test_every_input_of_any_quantization(run_c: Run, run_tflm: Run, drawn: list[Any]) -> None:
    model = join([case(op, *pair) for op in OPERATORS for pair in drawn])
    inputs = every_int8(len(OPERATORS) * len(drawn))
    assert_same(run_c(model, inputs), run_tflm(model, inputs), drawn)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.7, -0.5])
def test_any_slope_of_leaky_relu(alpha: float, run_c: Run, run_tflm: Run) -> None:
    model = model_of(
        "LEAKY_RELU",
        [spec(256, scale=0.1, zero_point=4)],
        [spec(256, scale=0.2, zero_point=-9)],
        {"alpha": alpha},
    )
    assert_same(run_c(model, every_int8()), run_tflm(model, every_int8()))


def test_rsqrt(run_c: Run, run_tflm: Run) -> None:
    """TFLite Micro stops at inputs below zero, so the zero point is the smallest input."""
    scales = [(0.1, 0.05), (1.0, 0.01), (3e-3, 0.2), (0.02, 0.7)]
    model = join([
        ("RSQRT", [spec(256, scale=a, zero_point=-128)], [spec(256, scale=b, zero_point=z)], {})
        for (a, b), z in zip(scales, (-128, 0, 5, -100), strict=True)
    ])  # fmt: skip
    assert_same(run_c(model, every_int8(4)), run_tflm(model, every_int8(4)))


@pytest.mark.parametrize("source, output", [("int8", "uint8"), ("uint8", "int8")])
def test_between_signed_and_unsigned(source: str, output: str, run_c: Run, run_tflm: Run) -> None:
    zero = {"int8": -128, "uint8": 0}
    pairs = [(0.25, 0.25), (0.1, 0.3)]
    model = join([
        (
            "QUANTIZE",
            [spec(256, dtype=source, scale=a, zero_point=zero[source])],
            [spec(256, dtype=output, scale=b, zero_point=zero[output])],
            {},
        )
        for a, b in pairs
    ])  # fmt: skip
    batch = [np.arange(256, dtype=np.uint8).view(source).reshape(1, 256)] * 2
    assert_same(run_c(model, batch), run_tflm(model, batch))


def expected(
    function: Callable[[float], float], scale: float, zero: int, out_scale: float, out_zero: int
) -> Any:
    """Return every output, from the definition: dequantize, apply, quantize, round half away, clamp."""
    results = []
    for value in range(-128, 128):
        real = function(scale * (value - zero)) / out_scale
        rounded = real if math.isinf(real) else math.copysign(math.floor(abs(real) + 0.5), real)
        results.append(max(-128, min(127, rounded + out_zero)))
    return np.array(results, np.int8)


@pytest.mark.parametrize(
    "op, function",
    [
        ("NEG", lambda x: -x),
        ("EXP", math.exp),
        ("LOG", lambda x: math.log(x) if x > 0 else -math.inf),
        ("SQRT", lambda x: math.sqrt(max(x, 0))),
        ("RELU_0_TO_1", lambda x: max(0.0, min(1.0, x))),
        ("RELU_N1_TO_1", lambda x: max(-1.0, min(1.0, x))),
    ],
)
def test_what_tflite_micro_lacks_in_int8(op: str, function: Callable[[float], float], run_c: Run) -> None:
    """Powers of two as scales, so that every product is exact."""
    (found,) = run_c(
        model_of(op, [spec(256, scale=1 / 32, zero_point=-16)], [spec(256, scale=1 / 64, zero_point=-3)]),
        every_int8(),
    )
    np.testing.assert_array_equal(found[0], expected(function, 1 / 32, -16, 1 / 64, -3))


def test_relu6_rescales_where_tflite_micro_does_not(run_c: Run) -> None:
    model = model_of(
        "RELU6", [spec(256, scale=0.125, zero_point=7)], [spec(256, scale=0.0625, zero_point=-50)]
    )
    (found,) = run_c(model, every_int8())
    np.testing.assert_array_equal(found[0], expected(lambda x: max(0.0, min(6.0, x)), 0.125, 7, 0.0625, -50))


@pytest.mark.parametrize("op", FIXED)
def test_an_output_that_tflite_fixes(op: str) -> None:
    model = model_of(op, [spec(256, scale=0.1)], [Spec((256,), "int8", 0.1, 0, name="odd")])
    with pytest.raises(ConversionError, match="odd") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
