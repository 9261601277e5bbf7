"""The Helium kernels give the bytes of the plain ones: many calls in one image, on an emulated Cortex-M55."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepack.converters.mcu.compile import TIERS, compile_model
from edgepack.converters.mcu.emulator import emulate
from edgepack.converters.mcu.firmware import GoldenBytes, build_image
from edgepack.converters.mcu.program import Call, Struct
from edgepack.targets.registry import find_target
from tests.converters.mcu.cores import compiler_or_skip, emulator_or_skip, small_model
from tests.converters.mcu.models import Op, build, spec
from tests.converters.mcu.test_tiers import inputs_of, run_on_host, specialized
from tests.converters.mcu.tier_cases import Case, Draw, code_of, program_of

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable
    from pathlib import Path

    from edgepack.converters.mcu.compile import GeneratedCode

BOARD = "qemu-mps3-an547"
SQUARE = {"stride_height": 1, "stride_width": 1, "dilation_height": 1, "dilation_width": 1}
POINT = {**SQUARE, "kernel_height": 1, "kernel_width": 1}


def pool(channels: int, size: int, kernel: int, stride: int, padding: int, bound: int = 127) -> Case:
    """Return an AVERAGE_POOL_2D of a square."""
    out = (size + 2 * padding - kernel) // stride + 1
    both = {"input": size, "output": out, "kernel": kernel, "stride": stride, "dilation": 1}
    window = {f"{kind}_{axis}": n for kind, n in both.items() for axis in ("height", "width")}
    window |= {"input_channels": channels, "output_channels": channels}
    window |= {"padding_top": padding, "padding_left": padding}
    call = Call(
        label="AVERAGE_POOL_2D",
        operator=0,
        kernel="ep_average_pool_2d_s8",
        struct="ep_pool_2d",
        constants={"window": Struct(window), "activation_min": -bound, "activation_max": bound},
        inputs=(0,),
        outputs=(1,),
    )
    return Case(call, ((size, size, channels), (out, out, channels)))


def unpadded(draw: Draw, **fixed: int) -> Case:
    """Return a convolution that does not reach over the input's edge."""
    while True:
        case = draw.convolution(**fixed)
        size = window_of(case.call)
        ends = [
            (size[f"output_{axis}"] - 1) * size[f"stride_{axis}"] + size[f"kernel_{axis}"]
            for axis in ("height", "width")
        ]
        if not size["padding_top"] | size["padding_left"] and ends <= [
            size["input_height"],
            size["input_width"],
        ]:
            return case


def window_of(call: Call) -> dict[str, int]:
    """Return the members of a call's window."""
    window = call.constants["window"]
    assert isinstance(window, Struct)
    return dict(window.members)


def cases_of(seed: int) -> list[Case]:
    """Return calls that the tier takes: named shapes, ends of the range, and drawn ones."""
    draw = Draw(seed)
    three = {**SQUARE, "kernel_height": 3, "kernel_width": 3}
    return [
        unpadded(draw, **POINT, input_channels=16, output_channels=8, input_height=3, input_width=5),
        unpadded(draw, **{**POINT, "stride_width": 2}, input_channels=64, output_channels=5),
        unpadded(draw, **POINT, input_channels=32, output_channels=4, input_height=1, input_width=1),
        unpadded(draw, **{**POINT, "kernel_width": 4}, input_channels=12, output_channels=4, input_width=9),
        draw.convolution(**three, input_channels=12, output_channels=5, input_width=61),
        draw.convolution(**three, input_channels=2, output_channels=5, input_width=18, input_height=4),
        draw.convolution(kernel_width=3, dilation_width=2, dilation_height=2, input_channels=18),
        draw.convolution(**POINT, input_channels=20, output_channels=7, input_height=5, input_width=3),
        draw.convolution(**three, input_channels=3, output_channels=16),
        draw.convolution(**three, input_channels=16, output_channels=3),
        draw.convolution(**three, input_channels=33, output_channels=9),
        draw.convolution(kernel_height=10, kernel_width=4, input_channels=1, input_height=12, input_width=7),
        draw.convolution(input_channels=17, weight=-128, bias=0),
        draw.convolution(input_channels=9, weight=127, shift=-1),
        draw.convolution(shift=-31, bias=1 << 30, activation_min=-128, activation_max=127),
        *(draw.convolution() for _ in range(24)),
        *(draw.depthwise(**three, output_channels=n, input_height=7, input_width=n % 7 + 1)
          for n in (4, 8, 12, 16, 20, 32, 64)),
        draw.depthwise(**three, output_channels=16, input_height=1, input_width=1),
        draw.depthwise(kernel_height=4, kernel_width=4, output_channels=16, weight=-128),
        draw.depthwise(kernel_height=2, kernel_width=2, output_channels=4, weight=127, shift=-1),
        draw.depthwise(kernel_height=1, kernel_width=1),
        *(draw.depthwise() for _ in range(24)),
        *(draw.dense(rows=1, output_size=size, input_size=12) for size in range(1, 18)),
        *(draw.dense(output_size=8, input_size=size) for size in (1, 15, 16, 17, 31, 32, 48, 64, 80, 640)),
        *(draw.dense(per_channel=True, input_size=size) for size in (16, 48, 23)),
        draw.dense(weight=-128, bias=-(1 << 20)),
        draw.dense(bias=1 << 30, shift=-31),
        draw.add(larger=1, multiplier=(1 << 31) - 1, shift=-1),
        draw.add(larger=2, shift=-20),
        draw.add(output_shift=-1, activation_min=-128, activation_max=127),
        *(draw.add(size=size) for size in (1, 7, 8, 9, 16, 23)),
        *(draw.add() for _ in range(6)),
        pool(8, 4, 4, 1, 0),
        pool(3, 5, 3, 2, 1),
        pool(21, 6, 3, 1, 2, bound=20),
        pool(9, 15, 15, 1, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("zig", marks=pytest.mark.slow)])
def test_helium_gives_the_bytes_of_the_plain_kernels(
    compiler: str, build_c: Callable[[GeneratedCode], ctypes.CDLL], tmp_path: Path
) -> None:
    emulator_or_skip(BOARD)
    board = find_target(BOARD)
    built = compiler_or_skip(board.cores[0], compiler)
    cases = cases_of(7)
    inputs = inputs_of(cases)
    expected = run_on_host(code_of(program_of(cases, [case.call for case in cases])), build_c, inputs)
    assert len({byte for output in expected for byte in output}) > 200, "the cases reach over int8's range"
    calls = specialized(cases, "mve")
    assert not [call.label for call in calls if not call.kernel.endswith("__mve")]
    convolutions = [call for call in calls if call.kernel == "ep_conv_2d_s8__mve"]
    assert {call.constants["line_bytes"] == 0 for call in convolutions} == {True, False}
    assert {call.constants["width"] == window_of(call)["output_width"] for call in convolutions} == {
        True,
        False,
    }
    assert {1, 2} <= {call.constants["rows"] for call in convolutions}
    golden = GoldenBytes(tuple(data.tobytes() for data in inputs), tuple(expected))
    image = build_image(code_of(program_of(cases, calls)), board, built, golden, tmp_path)
    assert emulate(image, board).wrong_bytes == 0


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Draw(3).convolution(shift=0), id="a shift that is none"),
        pytest.param(Draw(3).convolution(shift=1), id="a shift to the left"),
        pytest.param(Draw(3).dense(shift=0), id="dense, a shift that is none"),
        pytest.param(Draw(3).depthwise(kernel_width=5, input_width=7), id="five columns"),
        pytest.param(Draw(3).depthwise(output_channels=6), id="channels that are not whole fours"),
        pytest.param(Draw(3).depthwise(input_channels=4, output_channels=8), id="two outputs an input"),
        pytest.param(Draw(3).add(multiplier=1 << 30, shift=0), id="sum of equal scales"),
        pytest.param(pool(1, 16, 16, 1, 0), id="a window whose sum may pass 16 bits"),
    ],
)
def test_what_helium_cannot_do_exactly_keeps_its_kernel(case: Case) -> None:
    assert TIERS["mve"](case.call) is case.call


def chain(channels: int, height: int, width: int, kernels: tuple[int, ...]) -> bytes:
    """Return depthwise and pointwise convolutions in turn, each as large as the one before it."""
    draw = np.random.default_rng(channels)
    tensors = [spec(1, height, width, channels, scale=0.05, zero_point=-3)]
    operators = []
    for number, side in enumerate(kernels):
        shape, axis = ((1, side, side, channels), 3) if number % 2 == 0 else ((channels, 1, 1, channels), 0)
        scales, zeros = [0.01] * channels, [0] * channels
        tensors += [
            spec(data=draw.integers(-127, 128, shape), scale=scales, zero_point=zeros, axis=axis),
            spec(data=draw.integers(-500, 500, channels), dtype="int32", scale=scales, zero_point=zeros),
            spec(1, height, width, channels, scale=0.05, zero_point=-3),
        ]
        last = len(tensors) - 1
        ones = ("stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor")
        more = {"depth_multiplier": 1} if number % 2 == 0 else {}
        op = "DEPTHWISE_CONV_2D" if number % 2 == 0 else "CONV_2D"
        operators.append(
            Op(
                op,
                [last - 3, last - 2, last - 1],
                [last],
                {"padding": "SAME", **dict.fromkeys(ones, 1), **more},
            )
        )
    return build(tensors, operators)


@pytest.mark.parametrize(
    "shape", [(16, 7, 5, (3, 1, 2, 1, 3)), (32, 4, 6, (4, 1, 3)), (20, 5, 1, (3,)), (16, 1, 4, (3,))], ids=str
)
def test_outputs_that_overwrite_their_inputs(
    shape: tuple[int, int, int, tuple[int, ...]],
    build_c: Callable[[GeneratedCode], ctypes.CDLL],
    tmp_path: Path,
) -> None:
    emulator_or_skip(BOARD)
    board = find_target(BOARD)
    built = compiler_or_skip(board.cores[0], "gcc")
    model = chain(*shape)
    code = compile_model(model, name="cases", core=board.cores[0])
    values = [*code.program.inputs, *code.program.outputs]
    assert len({code.plan.offsets[value] for value in values}) == 1, "one buffer is enough"
    inputs = [np.random.default_rng(2).integers(-128, 128, math.prod(shape[:3])).astype(np.int8)]
    outputs = run_on_host(compile_model(model, name="cases"), build_c, inputs)
    golden = GoldenBytes((inputs[0].tobytes(),), tuple(outputs))
    assert emulate(build_image(code, board, built, golden, tmp_path), board).wrong_bytes == 0


def test_a_core_with_helium_takes_its_kernels() -> None:
    core = find_target("cortex-m55").cores[0]
    kernels = {call.kernel for call in compile_model(small_model(), name="m", core=core).program.calls}
    expected = {"ep_conv_2d_s8__mve", "ep_depthwise_conv_2d_s8__mve", "ep_fully_connected_s8__mve"}
    assert expected <= kernels
