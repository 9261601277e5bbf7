"""QUANTIZE, DEQUANTIZE, CAST, SELECT_V2 and the logical operators, against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, model_of, spec
from tests.converters.mcu.test_arithmetic import check

Run = Any
QUANTIZATION = {
    "int8": (0.05, -7),
    "uint8": (0.1, 128),
    "int16": (1e-3, 0),
    "int32": (1e-5, 0),
    "float32": (None, 0),
}


def tensor(dtype: str, *shape: int, **changed: Any) -> Spec:
    scale, zero = QUANTIZATION.get(dtype, (None, 0))
    return Spec(shape, dtype, changed.get("scale", scale), changed.get("zero_point", zero))


@pytest.mark.parametrize(
    "source, outputs",
    [
        ("float32", ["int8", "int16"]),
        ("int8", ["int8", "uint8", "int16", "int32"]),
        ("int16", ["int8", "int16", "int32"]),
        ("int32", ["int8", "int16"]),
        ("uint8", ["int8"]),
    ],
)
def test_quantize(source: str, outputs: list[str], run_c: Run, run_tflm: Run) -> None:
    scales = {"int8": 0.037, "uint8": 0.06, "int16": 2e-3, "int32": 3e-6}
    cases = [
        ("QUANTIZE", [tensor(source, 300)], [tensor(output, 300, scale=scales[output])], {})
        for output in outputs
    ]
    check(run_c, run_tflm, cases)


def test_ties_and_saturation_of_quantize(run_c: Run, run_tflm: Run) -> None:
    """Halves go away from zero; what lies outside is clamped."""
    reals = np.array(
        [0.5, -0.5, 1.5, -1.5, 2.5, 0.49999997, -0.49999997, 126.5, -129.0, 1e6, -1e6, 32766.5], np.float32
    )
    cases = [
        ("QUANTIZE", [tensor("float32", 12)], [tensor("int8", 12, scale=1.0, zero_point=zero)], {})
        for zero in (0, 127, -128)
    ] + [("QUANTIZE", [tensor("float32", 12)], [tensor("int16", 12, scale=1.0)], {})]
    inputs = [reals[None]] * 4
    assert_same(run_c(join(cases), inputs), run_tflm(join(cases), inputs))


def test_a_real_number_that_no_integer_holds(run_c: Run) -> None:
    """TFLite leaves it undefined; here it is the edge of the type."""
    model = join([("QUANTIZE", [tensor("float32", 4)], [tensor("int8", 4, zero_point=3)], {})])
    (found,) = run_c(model, [np.array([[np.inf, -np.inf, 3e38, -3e38]], np.float32)])
    np.testing.assert_array_equal(found, [[127, -128, 127, -128]])


def test_dequantize(run_c: Run, run_tflm: Run) -> None:
    check(
        run_c,
        run_tflm,
        [
            ("DEQUANTIZE", [tensor(dtype, 300)], [tensor("float32", 300)], {})
            for dtype in ("int8", "uint8", "int16")
        ],
    )


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(1e-6, 10.0), st.floats(1e-6, 10.0), st.integers(-128, 127))
def test_any_scale(run_c: Run, run_tflm: Run, one: float, other: float, zero: int) -> None:
    given, real = tensor("int8", 300, scale=one, zero_point=zero), tensor("float32", 300)
    wide = tensor("int16", 300, scale=max(one / 100, other))
    narrow = tensor("int8", 300, scale=max(one, other), zero_point=zero)
    cases: list[Any] = [
        ("QUANTIZE", [real], [given], {}),
        ("DEQUANTIZE", [given], [real], {}),
        ("QUANTIZE", [given], [wide], {}),
        ("QUANTIZE", [tensor("int16", 300, scale=one)], [narrow], {}),
    ]
    check(run_c, run_tflm, cases)


@pytest.mark.parametrize("source", ["bool", "int8", "int16", "int32", "float32"])
def test_cast(source: str, run_c: Run, run_tflm: Run) -> None:
    outputs = ["int8", "int16", "int32", "float32"]
    cases = [("CAST", [Spec((100,), source)], [Spec((100,), output)], {}) for output in outputs]
    check(run_c, run_tflm, cases)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
def test_select(dtype: str, run_c: Run, run_tflm: Run) -> None:
    whole = tensor(dtype, 2, 3, 4)
    cases = [
        ("SELECT_V2", [Spec(condition, "bool"), tensor(dtype, *one), tensor(dtype, *two)], [whole], {})
        for condition, one, two in [
            ((2, 3, 4), (2, 3, 4), (2, 3, 4)),
            ((2, 3, 1), (2, 3, 4), (4,)),
            ((2, 3, 4), (1,), (1, 1, 4)),
            ((1,), (2, 3, 4), (2, 3, 4)),
        ]
    ]
    check(run_c, run_tflm, cases)


def test_cast_of_unsigned_bytes(run_c: Run) -> None:
    """TFLite Micro has none; the numbers are what they are."""
    model = join([("CAST", [Spec((256,), "uint8")], [Spec((256,), "int32")], {})])
    (found,) = run_c(model, [np.arange(256, dtype=np.uint8)[None]])
    np.testing.assert_array_equal(found, np.arange(256)[None])


def test_logical(run_c: Run, run_tflm: Run) -> None:
    truth = Spec((2, 3, 4), "bool")
    cases: list[Any] = [(op, [truth, truth], [truth], {}) for op in ("LOGICAL_AND", "LOGICAL_OR")]
    check(run_c, run_tflm, [*cases, ("LOGICAL_NOT", [truth], [truth], {})])


def test_what_quantize_does_not_give() -> None:
    model = model_of("QUANTIZE", [spec(4, dtype="float32")], [spec(4, dtype="uint8", scale=0.1)])
    with pytest.raises(ConversionError, match=r"QUANTIZE from .* float32, to .* uint8") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
