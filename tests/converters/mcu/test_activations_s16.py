"""Operators of one int16 input: every input, against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, model_of

Run = Any
EVERY = np.arange(-32768, 32768).astype(np.int16).reshape(1, 65536)
# Powers of two that TFLite treats apart, and scales between and beyond them.
SCALES = [1 / 4096, 1 / 2048, 1 / 1024, 3e-4, 1e-3, 1e-5, 0.3]


def case(op: str, scale: float, out_scale: float, **options: Any) -> Any:
    return op, [Spec((65536,), "int16", scale)], [Spec((65536,), "int16", out_scale)], options


def check(run_c: Run, run_tflm: Run, cases: list[Any]) -> None:
    for one in cases:  # TFLite Micro's arena here holds two tensors of this size, not many
        model = join([one])
        assert_same(run_c(model, [EVERY]), run_tflm(model, [EVERY]), one)


@pytest.mark.parametrize("op", ["LOGISTIC", "TANH"])
def test_sigmoids(op: str, run_c: Run, run_tflm: Run) -> None:
    check(run_c, run_tflm, [case(op, scale, 1 / 32768) for scale in SCALES])


def test_rectifiers(run_c: Run, run_tflm: Run) -> None:
    cases = [case("RELU", 1e-3, out) for out in (1e-3, 3e-4, 1e-2)]
    cases += [case("RELU6", 1e-3, 1e-3)]
    cases += [case("LEAKY_RELU", 1e-3, 7e-4, alpha=alpha) for alpha in (0.1, 1.5, -0.5)]
    check(run_c, run_tflm, cases)


def test_an_output_that_tflite_fixes() -> None:
    model = model_of("TANH", [Spec((4,), "int16", 1e-3)], [Spec((4,), "int16", 1e-3, name="odd")])
    with pytest.raises(ConversionError, match="odd") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
