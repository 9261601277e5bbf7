"""Whole models that nobody here wrote: the C gives the very bytes of TFLite Micro."""

from __future__ import annotations

import binascii
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepack.converters.mcu.compile import compile_model
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = Path(__file__).resolve().parents[4] / "shared" / "models"
# CRC-32 of the outputs of TFLite Micro on Cortex-M for two inputs: all zeros, and (31 i + 7) mod 256 - 128.
KNOWN = {
    "ad01_int8": (0x0B222412, 0x5F90B220),
    "kws_ref_model": (0x7976663D, 0x13DBD71A),
    "pretrainedResnet_quant": (0xB00ABBF8, 0x9020848E),
}
# The largest sum of activations around one operator: no plan without fusion can be smaller.
ARENAS = {"ad01_int8": 768, "kws_ref_model": 16_000, "pretrainedResnet_quant": 49_152}


def model_bytes(name: str) -> bytes:
    path = MODELS / f"{name}.tflite"
    if not path.is_file():
        pytest.skip("the MLPerf Tiny models are not at hand (../shared/models)")
    return path.read_bytes()


@pytest.mark.parametrize("name", KNOWN)
def test_outputs_known_from_cortex_m(name: str, run_c: Callable[..., np.ndarray]) -> None:
    model = model_bytes(name)
    shape = read_graph(model).inputs[0].shape
    size = int(np.prod(shape))
    pattern = ((np.arange(size) * 31 + 7) % 256 - 128).astype(np.int8)
    outputs = run_c(model, np.stack([np.zeros(size, np.int8), pattern]).reshape(2, *shape))
    assert tuple(binascii.crc32(output.tobytes()) for output in outputs) == KNOWN[name]


@pytest.mark.parametrize("name", KNOWN)
def test_random_inputs_as_tflite_micro(
    name: str, run_c: Callable[..., np.ndarray], run_tflm: Callable[..., np.ndarray]
) -> None:
    model = model_bytes(name)
    shape = read_graph(model).inputs[0].shape
    batch = np.random.default_rng(7).integers(-128, 128, (100, *shape)).astype(np.int8)
    np.testing.assert_array_equal(run_c(model, batch), run_tflm(model, batch))


@pytest.mark.parametrize("name", KNOWN)
def test_the_arena_is_as_small_as_it_can_be(name: str) -> None:
    plan = compile_model(model_bytes(name), name="model").plan
    assert plan.arena_bytes == plan.lower_bound_bytes == ARENAS[name]
