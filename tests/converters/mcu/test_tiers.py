"""Every tier gives the bytes of the plain kernels: one image with many random calls, on an emulated core."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepack.converters.errors import CompilerError
from edgepack.converters.mcu.compile import TIERS
from edgepack.converters.mcu.compilers import find_compiler
from edgepack.converters.mcu.emulator import emulate, emulator_of
from edgepack.converters.mcu.firmware import GoldenBytes, build_image
from edgepack.converters.mcu.program import Table
from edgepack.targets.registry import find_target
from tests.converters.mcu.tier_cases import Case, Draw, code_of, program_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgepack.converters.mcu.compile import GeneratedCode
    from edgepack.converters.mcu.program import Call

BOARDS = {
    "dsp": ("qemu-mps2-an386", "cortex-m4"),
    "m3": ("qemu-mps2-an385", "cortex-m3"),
    "scalar": ("qemu-mps2-an385", "cortex-m0plus"),  # its instructions run on a Cortex-M3
}
"""Tier to an emulated board that can run it, and the core that the code is built for."""


def cases_of(seed: int) -> list[Case]:
    """Return calls that every tier takes, those with named shapes first."""
    draw = Draw(seed)
    square = {"stride_height": 1, "stride_width": 1, "dilation_height": 1, "dilation_width": 1}
    pointwise = {**square, "kernel_height": 1, "kernel_width": 1}
    return [
        draw.convolution(**pointwise, input_channels=16, output_channels=8),
        draw.convolution(**pointwise, input_channels=4, output_channels=1, input_height=1, input_width=1),
        draw.convolution(**pointwise, input_channels=20, output_channels=7, input_height=5, input_width=3),
        draw.convolution(**square, kernel_height=3, kernel_width=3, input_channels=3, output_channels=16),
        draw.convolution(**square, kernel_height=3, kernel_width=3, input_channels=8, output_channels=6),
        draw.convolution(kernel_height=10, kernel_width=4, input_channels=1, input_height=12, input_width=7),
        draw.convolution(weight=127, bias=0, input_channels=9),
        draw.convolution(**pointwise, weight=127, shift=-16, input_channels=256, output_channels=3),
        draw.convolution(**pointwise, weight=-127, shift=-17, input_channels=512, output_channels=4),
        draw.convolution(weight=-127, bias=0, input_channels=9),
        draw.convolution(shift=-22, bias=1 << 28, activation_min=-128, activation_max=127),
        *(draw.convolution() for _ in range(24)),
        draw.depthwise(**square, kernel_height=3, kernel_width=3, output_channels=8),
        draw.depthwise(kernel_height=2, kernel_width=2, output_channels=4, weight=-127),
        draw.depthwise(kernel_height=1, kernel_width=1),
        draw.depthwise(input_channels=1, output_channels=6),
        draw.depthwise(output_channels=7),
        *(draw.depthwise() for _ in range(12)),
        *(draw.dense(rows=1, output_size=size, input_size=12) for size in range(1, 10)),
        draw.dense(input_size=640, output_size=13),
        draw.dense(per_channel=True, input_size=24),
        draw.dense(per_channel=True, input_size=20, rows=2, output_size=16),
        draw.dense(per_channel=True, input_size=12, rows=2, output_size=11),
        draw.dense(per_channel=True, input_size=9, output_size=3),
        draw.dense(input_size=7),
        draw.dense(weight=-127, bias=-(1 << 20)),
        draw.dense(weight=127, shift=-17, input_size=512, output_size=9),
        draw.dense(weight=-127, shift=-17, input_size=516, output_size=4),
        *(draw.dense() for _ in range(6)),
        draw.add(larger=1, multiplier=(1 << 31) - 1, shift=-1),
        draw.add(larger=2, shift=-20),
        *(draw.add() for _ in range(8)),
    ]


def refused() -> dict[str, Case]:
    """Return calls that no tier may take, by what is wrong with them."""
    draw = Draw(3)
    return {
        "shift to the left": draw.convolution(shift=1),
        "shift of 23": draw.convolution(shift=-23),
        "bias that overflows": draw.convolution(bias=(1 << 30) + (1 << 28)),
        "dense, bias that overflows": draw.dense(bias=-(1 << 30)),
        "depthwise, two outputs an input": draw.depthwise(input_channels=4, output_channels=8),
        "add of equal scales": draw.add(multiplier=1 << 30, shift=0),
        "add, output shift of 23": draw.add(output_shift=-23),
    }


def specialized(cases: Sequence[Case], *tiers: str) -> list[Call]:
    """Return the calls of cases with the kernel of the first tier that takes them."""
    calls = []
    for case in cases:
        found = (replaced for tier in tiers if (replaced := TIERS[tier](case.call)) is not case.call)
        calls.append(next(found, case.call))
    return calls


def inputs_of(cases: Sequence[Case]) -> list[np.ndarray]:
    """Return random inputs; the largest sums that there are where all weights are the same."""
    draw = np.random.default_rng(11)
    inputs = []
    for number, case in enumerate(cases):
        weights = case.call.constants.get("weights")
        for shape in case.shapes[:-1]:
            if isinstance(weights, Table) and len(np.unique(weights.data)) == 1:
                inputs.append(np.full(shape, -128, np.int8))
            elif number % 4 == 3:
                inputs.append(draw.choice(np.array([-128, 127], np.int8), shape))
            else:
                inputs.append(draw.integers(-128, 128, shape).astype(np.int8))
    return inputs


def run_on_host(
    code: GeneratedCode, build: Callable[[GeneratedCode], ctypes.CDLL], inputs: Sequence[np.ndarray]
) -> list[bytes]:
    """Return the outputs of a program built for this machine."""
    arena = np.zeros(code.plan.arena_bytes // 8 + 1, np.int64).view(np.uint8)
    for value, data in zip(code.program.inputs, inputs, strict=True):
        begin = code.plan.offsets[value]
        arena[begin : begin + data.size] = data.reshape(-1).view(np.uint8)
    build(code).cases_invoke(arena.ctypes.data_as(ctypes.c_void_p))
    spans = [(code.plan.offsets[v], code.program.values[v].size_bytes) for v in code.program.outputs]
    return [arena[begin : begin + size].tobytes() for begin, size in spans]


@pytest.mark.parametrize("tier", BOARDS)
def test_a_tier_gives_the_bytes_of_the_plain_kernels(
    tier: str, build_c: Callable[[GeneratedCode], ctypes.CDLL], tmp_path: Path
) -> None:
    board = find_target(BOARDS[tier][0])
    core = find_target(BOARDS[tier][1]).cores[0]
    if emulator_of(board) is None:
        pytest.skip("qemu-system-arm is not installed")
    try:
        compiler = find_compiler(core)
    except CompilerError:
        pytest.skip("there is no compiler for Cortex-M")
    cases = cases_of(5)
    inputs = inputs_of(cases)
    expected = run_on_host(code_of(program_of(cases, [case.call for case in cases])), build_c, inputs)
    assert len({byte for output in expected for byte in output}) > 200, (
        "the cases reach over the range of int8"
    )
    golden = GoldenBytes(tuple(data.tobytes() for data in inputs), tuple(expected))
    calls = specialized(cases, tier, "scalar")
    assert not [call.label for case, call in zip(cases, calls, strict=True) if call is case.call]
    assert sum(call.kernel.endswith(tier) for call in calls) > len(calls) // 3
    image = build_image(code_of(program_of(cases, calls)), board, compiler, golden, tmp_path)
    assert emulate(image, board).wrong_bytes == 0


def test_the_scalar_tier_does_nothing_that_c_does_not_define(
    build_c: Callable[[GeneratedCode], ctypes.CDLL],
) -> None:
    cases = cases_of(6)
    inputs = inputs_of(cases)
    plain = run_on_host(code_of(program_of(cases, [case.call for case in cases])), build_c, inputs)
    # Scratch is for 32-bit cores; pointers of this machine may be twice as long.
    calls = [replace(call, scratch_bytes=2 * call.scratch_bytes) for call in specialized(cases, "scalar")]
    assert run_on_host(code_of(program_of(cases, calls)), build_c, inputs) == plain


@pytest.mark.parametrize("what", refused())
@pytest.mark.parametrize("tier", BOARDS)
def test_a_call_that_could_overflow_keeps_its_plain_kernel(tier: str, what: str) -> None:
    call = refused()[what].call
    assert TIERS[tier](call) is call


def test_depthwise_of_any_number_of_channels_is_left_to_the_scalar_tier() -> None:
    case = Draw(1).depthwise(output_channels=6)
    assert TIERS["dsp"](case.call) is case.call
    assert TIERS["scalar"](case.call) is not case.call


def test_weights_that_a_lane_cannot_hold_are_left_to_the_plain_kernel() -> None:
    case = Draw(1).convolution(weight=-128, output_channels=4)  # 256 A + B is below -2^15
    assert TIERS["dsp"](case.call) is case.call
    assert TIERS["scalar"](case.call) is case.call  # so is the sum of two products


def test_sums_that_overflow_their_field_are_left_to_another_tier() -> None:
    wide = {"kernel_height": 1, "kernel_width": 1, "input_height": 1, "input_width": 1, "weight": 127}
    fits, overflows = (Draw(1).convolution(**wide, input_channels=n) for n in (256, 260))
    assert TIERS["m3"](fits.call) is not fits.call
    assert TIERS["m3"](overflows.call) is overflows.call
    fits, overflows = (Draw(1).dense(weight=127, input_size=n) for n in (516, 520))
    assert TIERS["m3"](fits.call) is not fits.call
    assert TIERS["m3"](overflows.call) is overflows.call
    fits, overflows = (Draw(1).convolution(**wide, input_channels=n, output_channels=2) for n in (512, 520))
    assert TIERS["dsp"](fits.call) is not fits.call
    assert TIERS["dsp"](overflows.call) is overflows.call
