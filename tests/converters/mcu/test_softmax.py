"""SOFTMAX in every pair of types, against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, assert_same, join, model_of, spec
from tests.converters.mcu.test_arithmetic import check

Run = Any
OUTPUTS = {
    ("int8", "int8"): (1 / 256, -128),
    ("int8", "int16"): (1 / 65536, -32768),
    ("int16", "int16"): (1 / 32768, 0),
}
SCALES = {"int8": (0.003, 0.05, 0.3, 2.0), "int16": (1e-5, 1e-4, 5e-4, 4e-3)}


def softmax(pair: tuple[str, str], scale: float | None, depth: int = 10, beta: float = 1.0) -> Any:
    source = Spec((5, depth), pair[0], scale, 0 if pair[0] == "int16" else 7)
    return "SOFTMAX", [source], [Spec((5, depth), pair[1], *OUTPUTS.get(pair, (None, 0)))], {"beta": beta}


@pytest.mark.parametrize("pair", OUTPUTS)
def test_quantized(pair: tuple[str, str], run_c: Run, run_tflm: Run) -> None:
    cases = [softmax(pair, scale, depth) for scale in SCALES[pair[0]] for depth in (1, 2, 12, 200)]
    check(run_c, run_tflm, [*cases, softmax(pair, SCALES[pair[0]][1], beta=0.7)])


@pytest.mark.parametrize("pair", OUTPUTS)
def test_equal_and_far_inputs(pair: tuple[str, str], run_c: Run, run_tflm: Run) -> None:
    model = join([softmax(pair, scale) for scale in SCALES[pair[0]]])
    limits = np.iinfo(pair[0])
    rows = np.zeros((3, 5, 10), pair[0])
    rows[1], rows[2, :, 0], rows[2, :, 1:] = limits.max, limits.max, limits.min
    batch = [rows] * len(SCALES[pair[0]])
    assert_same(run_c(model, batch), run_tflm(model, batch))


def test_real(run_c: Run, run_tflm: Run) -> None:
    pair = ("float32", "float32")
    check(
        run_c,
        run_tflm,
        [softmax(pair, None, depth, beta) for depth, beta in ((1, 1.0), (12, 1.0), (200, 0.5))],
    )


def test_an_output_in_other_units() -> None:
    model = model_of("SOFTMAX", [spec(1, 4, scale=0.1)], [spec(1, 4, scale=0.1)], {"beta": 1.0})
    with pytest.raises(ConversionError, match="and -128") as caught:
        compile_model(model, name="model")
    assert caught.value.remedy
