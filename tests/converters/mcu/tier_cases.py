"""Random calls of plain kernels, for tests that give them to a tier: shapes, borders, strides, saturation.

A case is a `Call` between two or three values of its own; `program_of` puts any number of them into one
program, so that one image on an emulated board runs them all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.mcu.compile import KERNELS, GeneratedCode
from edgepack.converters.mcu.emit import Origin, emit_header, emit_source
from edgepack.converters.mcu.plan_memory import MemoryPlan
from edgepack.converters.mcu.program import Call, Program, Struct, Table, Value
from edgepack.converters.mcu.symbols import HEADER, needed_kernels, symbol_header

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Case:
    """A call whose inputs are values 0, 1, … and whose output is the last value."""

    call: Call
    shapes: tuple[tuple[int, ...], ...]


class Draw:
    """Draws cases; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def number(self, low: int, high: int) -> int:
        """Return a number from low to high, both included."""
        return int(self._random.integers(low, high + 1))

    def convolution(self, **fixed: int) -> Case:
        """Return a CONV_2D; what is not fixed is drawn."""
        window = self._window(fixed, inputs=fixed.get("input_channels", self.number(1, 9)))
        size = window.members
        return self._windowed(
            "ep_conv_2d_s8",
            window,
            size["kernel_height"] * size["kernel_width"] * size["input_channels"],
            fixed,
        )

    def depthwise(self, **fixed: int) -> Case:
        """Return a DEPTHWISE_CONV_2D, with one output for each input unless that is fixed otherwise."""
        channels = fixed.get("output_channels", 4 * self.number(1, 4))
        inputs = fixed.get("input_channels", channels)
        window = self._window({**fixed, "output_channels": channels}, inputs=inputs)
        size = window.members
        return self._windowed(
            "ep_depthwise_conv_2d_s8", window, size["kernel_height"] * size["kernel_width"], fixed
        )

    def dense(self, *, per_channel: bool = False, **fixed: int) -> Case:
        """Return a FULLY_CONNECTED."""
        rows, outputs = fixed.get("rows", self.number(1, 3)), fixed.get("output_size", self.number(1, 21))
        inputs = fixed.get("input_size", self.number(1, 12) * self.number(1, 4))
        channels = self._channels(outputs, inputs, fixed)
        if not per_channel:
            channels[:, 1:] = channels[0, 1:]
        call = Call(
            label="FULLY_CONNECTED",
            operator=0,
            kernel="ep_fully_connected_s8",
            struct="ep_fully_connected",
            constants={
                "weights": Table("int8_t", self._weights(outputs * inputs, fixed)),
                "channels": Table("ep_channel", channels),
                "rows": rows,
                "input_size": inputs,
                "output_size": outputs,
                **self._offsets(fixed),
            },
            inputs=(0,),
            outputs=(1,),
        )
        return Case(call, ((rows, inputs), (rows, outputs)))

    def add(self, **fixed: int) -> Case:
        """Return an ADD; the larger scale is that of a drawn input."""
        larger = fixed.get("larger", self.number(1, 2))
        other = 3 - larger
        size = fixed.get("size", self.number(1, 67))
        call = Call(
            label="ADD",
            operator=0,
            kernel="ep_add_s8",
            struct="ep_add",
            constants={
                "size": size,
                "left_shift": 20,
                "offset_1": self.number(-127, 128),
                "multiplier_1": 0,
                "shift_1": 0,
                "offset_2": self.number(-127, 128),
                "multiplier_2": 0,
                "shift_2": 0,
                f"multiplier_{larger}": 1 << 30,
                f"multiplier_{other}": fixed.get("multiplier", self._multiplier()),
                f"shift_{other}": fixed.get("shift", -self.number(1, 6)),
                "output_offset": self.number(-128, 127),
                "output_multiplier": self._multiplier(),
                "output_shift": fixed.get("output_shift", -self.number(17, 20)),
                **self._bounds(fixed),
            },
            inputs=(0, 1),
            outputs=(2,),
        )
        return Case(call, ((size,),) * 3)

    def _window(self, fixed: Mapping[str, int], inputs: int) -> Struct:
        members = {
            "input_channels": inputs,
            "output_channels": fixed.get("output_channels", self.number(1, 11)),
        }
        for axis in ("height", "width"):
            size = fixed.get(f"input_{axis}", self.number(1, 7))
            kernel = fixed.get(f"kernel_{axis}", self.number(1, 4))
            stride = fixed.get(f"stride_{axis}", self.number(1, 3))
            dilation = fixed.get(f"dilation_{axis}", self.number(1, 2))
            before, after = self.number(0, 2), self.number(0, 2)
            reach = (kernel - 1) * dilation + 1
            after += max(0, reach - size - before - after)
            members |= {
                f"input_{axis}": size,
                f"kernel_{axis}": kernel,
                f"stride_{axis}": stride,
                f"dilation_{axis}": dilation,
                f"padding_{'top' if axis == 'height' else 'left'}": before,
                f"output_{axis}": (size + before + after - reach) // stride + 1,
            }
        order = ("input", "output", "kernel", "stride", "dilation")
        names = [f"{kind}_{axis}" for kind in order for axis in ("height", "width")]
        names += ["input_channels", "output_channels", "padding_top", "padding_left"]
        return Struct({name: members[name] for name in names})

    def _windowed(self, kernel: str, window: Struct, taps: int, fixed: Mapping[str, int]) -> Case:
        size = window.members
        outputs = size["output_channels"]
        call = Call(
            label=kernel,
            operator=0,
            kernel=kernel,
            struct="ep_conv_2d",
            constants={
                "window": window,
                "weights": Table("int8_t", self._weights(outputs * taps, fixed)),
                "channels": Table("ep_channel", self._channels(outputs, taps, fixed)),
                **self._offsets(fixed),
            },
            inputs=(0,),
            outputs=(1,),
        )
        shape = (size["input_height"], size["input_width"], size["input_channels"])
        return Case(call, (shape, (size["output_height"], size["output_width"], outputs)))

    def _weights(self, count: int, fixed: Mapping[str, int]) -> np.ndarray:
        if "weight" in fixed:  # the largest sums that there are
            return np.full(count, fixed["weight"], np.int8)
        return self._random.integers(-127, 128, count).astype(np.int8)

    def _multiplier(self) -> int:
        return self.number(1 << 30, (1 << 31) - 1)

    def _channels(self, count: int, taps: int, fixed: Mapping[str, int]) -> np.ndarray:
        """Return bias, multiplier and shift; outputs fill the range of int8, and saturate now and then."""
        typical = max(1, round(float(np.sqrt(taps)) * 5500 / 60)).bit_length()
        rows = [
            (
                fixed.get("bias", self.number(-9000, 9000)),
                self._multiplier(),
                fixed.get("shift", -max(1, typical + self.number(-1, 1))),
            )
            for _ in range(count)
        ]
        return np.array(rows, np.int64)

    def _offsets(self, fixed: Mapping[str, int]) -> dict[str, int]:
        offsets = {"input_offset": self.number(-127, 128), "output_offset": self.number(-128, 127)}
        return {**offsets, **self._bounds(fixed)}

    def _bounds(self, fixed: Mapping[str, int]) -> dict[str, int]:
        low = self.number(-128, 0) if self.number(0, 2) == 0 else -128
        high = self.number(1, 127) if self.number(0, 3) == 0 else 127
        return {
            "activation_min": fixed.get("activation_min", low),
            "activation_max": fixed.get("activation_max", high),
        }


def program_of(cases: Sequence[Case], calls: Sequence[Call]) -> Program:
    """Return one program that runs each call on the values of its case."""
    values: list[Value] = []
    moved, inputs, outputs = [], [], []
    for case, call in zip(cases, calls, strict=True):
        first = len(values)
        values += [Value(first + i, f"v{first + i}", shape, "int8") for i, shape in enumerate(case.shapes)]
        ends = tuple(first + i for i in call.inputs), tuple(first + i for i in call.outputs)
        moved.append(replace(call, inputs=ends[0], outputs=ends[1], in_place=()))
        inputs += range(first, len(values) - 1)
        outputs.append(len(values) - 1)
    return Program(tuple(values), tuple(moved), tuple(inputs), tuple(outputs))


def plan_of(program: Program) -> MemoryPlan:
    """Return a plan where scratch ends where the first output begins, and values lie one behind another.

    A kernel that writes too far changes a byte that is checked.
    """
    room = -(-max((call.scratch_bytes for call in program.calls), default=0) // 8) * 8
    offsets, end = {}, room
    for value in (*program.outputs, *program.inputs):
        offsets[value] = end
        end += -(-program.values[value].size_bytes // 4) * 4
    for number, call in enumerate(program.calls):
        offsets[len(program.values) + number] = (room - call.scratch_bytes) // 4 * 4
    return MemoryPlan(offsets, end, end, 0)


def code_of(program: Program) -> GeneratedCode:
    """Return the C of a program."""
    plan = plan_of(program)
    origin = Origin(hashlib.sha256(b"").hexdigest(), "tests")
    headers = {path.name: path.read_text() for path in (KERNELS / "include").glob("*.h")}
    kernels = needed_kernels((call.kernel for call in program.calls), KERNELS / "src")
    files = {
        "cases.h": emit_header("cases", program, plan, origin),
        "cases.c": emit_source("cases", program, plan, origin),
        **headers,
        HEADER: symbol_header(kernels, headers),
        **{f"{kernel}.c": text for kernel, text in kernels.items()},
    }
    return GeneratedCode("cases", files, program, plan, origin)
