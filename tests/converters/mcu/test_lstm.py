"""UNIDIRECTIONAL_SEQUENCE_LSTM: the bytes of TFLite Micro over many frames."""

from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Spec, model_of, spec


def lstm(batches: int, steps: int, inputs: int, units: int, *, time_major: bool, clip: float = 0.0) -> bytes:
    draw = np.random.default_rng(units)

    def weights(*shape: int) -> Spec:
        scale = float(draw.uniform(0.004, 0.02))
        return spec(data=draw.integers(-127, 128, shape), scale=scale)

    def biases() -> Spec:
        return spec(dtype="int32", data=draw.integers(-9000, 9000, units), scale=1e-4)

    lead = (steps, batches) if time_major else (batches, steps)
    tensors: list[Spec | None] = [spec(*lead, inputs, scale=0.02, zero_point=11)]
    tensors += [weights(units, inputs) for _ in range(4)] + [weights(units, units) for _ in range(4)]
    tensors += [None] * 3 + [biases() for _ in range(4)] + [None] * 2
    tensors += [Spec((batches, units), "int8", 1 / 128, -3, is_variable=True)]
    tensors += [Spec((batches, units), "int16", 2.0**-11, 0, is_variable=True)]
    tensors += [None] * 4
    options = {"fused_activation_function": "TANH", "time_major": time_major, "cell_clip": clip}
    outputs = [spec(*lead, units, scale=1 / 128, zero_point=-3)]
    return model_of("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, outputs, options)


@pytest.mark.parametrize("clip", [0.0, 1.5])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("sizes", [(1, 5, 6, 4), (3, 2, 2, 5), (1, 1, 8, 8)])
def test_lstm_gives_the_bytes_of_tflite_micro_and_keeps_its_state(sizes, time_major, clip, run_c, run_tflm):
    model = lstm(*sizes, time_major=time_major, clip=clip)
    batches, steps, inputs, _ = sizes
    lead = (steps, batches) if time_major else (batches, steps)
    frames = np.random.default_rng(6).integers(-128, 128, (10, *lead, inputs), np.int8)
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))


def test_lstm_variants_that_tflite_micro_refuses_are_errors():
    def model(place: int) -> bytes:
        peephole = spec(dtype="int16", data=[1, 2, 3, 4], scale=0.01)
        tensors: list[Spec | None] = [spec(1, 5, 6, scale=0.02), *[None] * 23]
        tensors[place] = peephole
        return model_of("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, [spec(1, 5, 4, scale=0.1, name="out")])

    with pytest.raises(ConversionError, match="'out' is of an LSTM with peephole"):
        compile_model(model(9), name="model")
    with pytest.raises(ConversionError, match=r"operator 0 lacks inputs \[2, 3"):
        compile_model(model(1), name="model")
