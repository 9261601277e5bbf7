"""Models that keep state from one frame to the next: variables, and the wake-word models of a package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FRAMES = 200
WAKE_WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


def wake_word(name: str) -> bytes:
    package = pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    return (Path(package.__file__).parent / "models" / f"{name}.tflite").read_bytes()


@pytest.mark.parametrize("name", WAKE_WORDS)
def test_wake_word_models_give_the_bytes_of_tflite_micro_on_every_frame(name, run_c, run_tflm):
    model = wake_word(name)
    draw = np.random.default_rng(20_261_122)
    frames = draw.integers(-128, 128, (FRAMES, 1, 3, 40), np.int8)
    frames[FRAMES // 2 :] = np.sort(
        frames[FRAMES // 2 :], axis=0
    )  # values that change slowly reach the output
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))
