"""SVDF: the bytes of TFLite Micro over many frames."""

from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, model_of, spec


def svdf(
    state: str, batches: int, inputs: int, units: int, rank: int, memory: int, zero_point: int = 0
) -> bytes:
    draw = np.random.default_rng(units)
    filters = units * rank
    if state == "float32":
        scales = dict.fromkeys(("input", "features", "time", "bias", "state", "output"))
        features, time, bias = (
            draw.standard_normal(shape) for shape in ((filters, inputs), (filters, memory), (units,))
        )
        first, dtypes = "float32", ("float32", "float32", "float32")
    else:
        scales = {"input": 0.05, "features": 0.02, "time": 0.01, "bias": 0.0001, "state": 0.01, "output": 0.1}
        largest = np.iinfo(state).max
        features = draw.integers(-127, 128, (filters, inputs))
        time = draw.integers(-largest // 4, largest // 4 + 1, (filters, memory))
        bias = draw.integers(-4000, 4000, units)
        first, dtypes = "int8", ("int8", state, "int32")
    tensor = Spec((batches, filters * memory), state, scales["state"], zero_point, is_variable=True)
    return model_of(
        "SVDF",
        [
            spec(batches, inputs, dtype=first, scale=scales["input"], zero_point=5 if first == "int8" else 0),
            spec(dtype=dtypes[0], data=features, scale=scales["features"]),
            spec(dtype=dtypes[1], data=time, scale=scales["time"]),
            spec(dtype=dtypes[2], data=bias, scale=scales["bias"]),
            tensor,
        ],
        [spec(batches, units, dtype=first, scale=scales["output"], zero_point=-7 if first == "int8" else 0)],
        {"rank": rank, "fused_activation_function": "RELU" if first == "float32" else "NONE"},
    )


@pytest.mark.parametrize("state", ["int8", "int16", "float32"])
@pytest.mark.parametrize("sizes", [(1, 8, 4, 1, 5), (2, 3, 5, 2, 4), (1, 4, 3, 3, 1)])
def test_svdf_gives_the_bytes_of_tflite_micro_over_time(state, sizes, run_c, run_tflm):
    model = svdf(state, *sizes)
    draw = np.random.default_rng(1)
    shape = 20, *sizes[:2]
    frames = (
        draw.standard_normal(shape).astype(np.float32)
        if state == "float32"
        else draw.integers(-128, 128, shape, np.int8)
    )
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))


def test_svdf_refuses_a_state_on_which_releases_of_tflite_micro_differ():
    with pytest.raises(ConversionError, match="state 't4' has zero point 9"):
        compile_model(svdf("int8", 1, 4, 2, 1, 3, zero_point=9), name="model")
