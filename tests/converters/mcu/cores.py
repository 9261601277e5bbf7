"""What the tests of builds share: emulated boards, installed compilers, a small model."""

from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.errors import CompilerError
from edgepack.converters.mcu.compilers import Compiler, find_compiler
from edgepack.converters.mcu.emulator import emulator_of
from edgepack.targets.model import Core
from edgepack.targets.registry import all_targets, find_target
from tests.converters.mcu.models import Op, build, spec

BOARDS = [target.name for target in all_targets() if target.link.kind == "emulated"]


def small_model(seed: int = 1) -> bytes:
    """Return a convolution, a depthwise convolution, a dense layer and a softmax, with drawn weights."""
    draw = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return draw.integers(-127, 128, shape).astype(np.int8)

    tensors = [
        spec(1, 8, 8, 4, scale=0.05, zero_point=-3, name="image"),
        spec(data=weights(8, 3, 3, 4), scale=[0.01] * 8, zero_point=[0] * 8, axis=0, name="w1"),
        spec(data=draw.integers(-500, 500, 8), dtype="int32", scale=[0.0005] * 8, zero_point=[0] * 8),
        spec(1, 8, 8, 8, scale=0.1, zero_point=-128, name="a1"),
        spec(data=weights(1, 3, 3, 8), scale=[0.01] * 8, zero_point=[0] * 8, axis=3, name="w2"),
        spec(data=draw.integers(-500, 500, 8), dtype="int32", scale=[0.001] * 8, zero_point=[0] * 8),
        spec(1, 4, 4, 8, scale=0.1, zero_point=5, name="a2"),
        spec(data=weights(8, 128), scale=0.01, name="w3"),
        spec(data=draw.integers(-500, 500, 8), dtype="int32", scale=0.001),
        spec(1, 8, scale=0.2, zero_point=10, name="scores"),
        spec(1, 8, scale=1 / 256, zero_point=-128, name="probabilities"),
    ]
    window = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
    relu = {"fused_activation_function": "RELU"}
    operators = [
        Op("CONV_2D", [0, 1, 2], [3], {**window, **relu}),
        Op(
            "DEPTHWISE_CONV_2D",
            [3, 4, 5],
            [6],
            {**window, "stride_w": 2, "stride_h": 2, "depth_multiplier": 1},
        ),
        Op("FULLY_CONNECTED", [6, 7, 8], [9], {}),
        Op("SOFTMAX", [9], [10], {"beta": 1.0}),
    ]
    return build(tensors, operators)


def pattern(size: int) -> bytes:
    """Return the input of the published figures: (31 i + 7) mod 256 - 128."""
    return ((np.arange(size) * 31 + 7) % 256 - 128).astype(np.int8).tobytes()


def compiler_or_skip(core: Core | None, name: str) -> Compiler:
    """Return a compiler, or skip the test where it is not installed."""
    try:
        return find_compiler(core, prefer=name)  # type: ignore[arg-type]
    except CompilerError as err:
        pytest.skip(err.message)


def emulator_or_skip(board: str) -> None:
    """Skip the test where QEMU does not emulate the board."""
    if emulator_of(find_target(board)) is None:
        pytest.skip(f"QEMU for {board} is not installed")
