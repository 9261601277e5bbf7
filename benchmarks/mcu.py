"""Instructions, flash and RAM of generated C on emulated boards, against TFLite Micro with CMSIS-NN.

    python -m benchmarks mcu [--cores m4,m55,…] [--models ad,kws,ic] [--compilers gcc,zig] [--operators]

The models are MLPerf Tiny's anomaly detection, keyword spotting and image classification (int8), from
`../shared/models`; the input is (31 i + 7) mod 256 - 128. TFLite Micro was measured with the same models,
inputs and counting (QEMU with `-icount shift=0`), in its best configuration of each core: CMSIS-NN of
2026-06, GCC 12.2 and clang 22, several optimization levels.

These are instructions, not cycles: QEMU models no pipeline and no memory. Cortex-M0 code runs on the emulated
Cortex-M3, as no machine of QEMU has enough memory with the smaller core. Outputs are compared byte by byte
with those of plain C, which the tests hold against TFLite Micro.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.timing import leave_out

if TYPE_CHECKING:
    from edgepack.converters.mcu.compile import GeneratedCode
    from edgepack.converters.mcu.compilers import CompilerName
    from edgepack.converters.mcu.firmware import GoldenBytes
    from edgepack.targets.model import Target

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
FILES = {"ad": "ad01_int8", "kws": "kws_ref_model", "ic": "pretrainedResnet_quant"}
CORES = {
    "m4": "cortex-m4",
    "m55": "cortex-m55",
    "m3": "cortex-m3",
    "m0": "cortex-m0plus",
    "m7": "cortex-m7",
    "m33": "cortex-m33",
    "rv32": "riscv32imc",
}
COMPARED = ("m4", "m55", "m3", "m0")
# TFLite Micro with CMSIS-NN, the best configuration of each core: instructions of one Invoke().
INSTRUCTIONS = {
    "m4": {"ad": 582_255, "kws": 7_697_238, "ic": 29_864_119},
    "m55": {"ad": 63_309, "kws": 1_705_300, "ic": 4_560_668},
    "m3": {"ad": 955_930, "kws": 10_532_016, "ic": 41_846_850},
    "m0": {"ad": 1_763_324, "kws": 28_996_085, "ic": 97_552_880},
}
# On Cortex-M4: the whole ELF without weights and biases; arena, variables and the deepest stack.
FLASH = {"ad": 34_184, "kws": 82_928, "ic": 70_916}
RAM = {"ad": 3_680, "kws": 24_312, "ic": 56_488}
MOST_INSTRUCTIONS = {
    "m4": {"ad": 0.55, "kws": 0.55, "ic": 0.55},
    "m55": {"ad": 0.75, "kws": 0.65, "ic": 0.75},
    "m3": {"ad": 0.8, "kws": 0.8, "ic": 0.8},
    "m0": {"ad": 1.0, "kws": 1.0, "ic": 1.0},
}
MOST_FLASH = {"ad": 8 << 10, "kws": 20 << 10, "ic": 18 << 10}
MOST_RAM = {"ad": 1_600, "kws": 17_000, "ic": 50_500}
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Row:
    """One model on one core, built by one compiler."""

    instructions: int
    other_flash_bytes: int
    ram_bytes: int
    wrong_bytes: int


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cores", default=",".join(COMPARED), help=", ".join(CORES))
    parser.add_argument("--models", default=",".join(FILES))
    parser.add_argument("--compilers", default="", help="gcc,zig; default: what a build would take")
    parser.add_argument("--operators", action="store_true", help="count every operator too")
    options = parser.parse_args(arguments)
    if reason := missing():
        leave_out(reason)
    print("instructions of one inference, emulated (instructions, not cycles); ratio to TFLite Micro, bar\n")
    print(f"{'core':5}{'model':6}{'by':5}{'instructions':>14}{'ratio':>8}{'bar':>7}{'flash*':>9}{'RAM':>9}")
    for core in options.cores.split(","):
        for model in options.models.split(","):
            for compiler in options.compilers.split(",") if options.compilers else [None]:
                show(core, model, compiler, operators=options.operators)
    print("\n* of the whole image, without weights and biases, without the golden input and output")


def missing() -> str | None:
    """Return why this cannot run; None where it can."""
    from edgepack.converters.mcu.emulator import emulator_of
    from edgepack.targets.registry import find_target

    if emulator_of(find_target("qemu-mps2-an386")) is None:
        return "QEMU is not installed: apt install qemu-system-arm"
    return None if MODELS.is_dir() else f"{MODELS} does not exist"


def show(core: str, model: str, compiler: CompilerName | None, *, operators: bool) -> None:
    row, by = measure(core, model, compiler, operators=operators)
    line = f"{core:5}{model:6}{by:5}{row.instructions:>14,}"
    if core in COMPARED:  # TFLite Micro was not measured on the others
        ratio = row.instructions / INSTRUCTIONS[core][model]
        line += f"{ratio:>8.3f}{MOST_INSTRUCTIONS[core][model]:>7.2f}"
    else:
        line += f"{'':15}"
    line += f"{row.other_flash_bytes:>9,}{row.ram_bytes:>9,}"
    if core == "m4":
        flash, ram = row.other_flash_bytes / FLASH[model], row.ram_bytes / RAM[model]
        line += (
            f"   flash {flash:.2f} of TFLM, bar {MOST_FLASH[model]:,}; RAM {ram:.2f}, bar {MOST_RAM[model]:,}"
        )
    if row.wrong_bytes:
        line += f"   WRONG: {row.wrong_bytes} bytes differ"
    print(line, flush=True)


def measure(
    core: str, model: str, prefer: CompilerName | None, *, operators: bool = False
) -> tuple[Row, str]:
    """Build, run, and take apart one model on one core."""
    from edgepack.converters.mcu.compile import compile_model
    from edgepack.converters.mcu.compilers import find_compiler
    from edgepack.converters.mcu.emulator import board_of, emulate
    from edgepack.converters.mcu.firmware import build_image
    from edgepack.converters.mcu.sizes import sizes_of
    from edgepack.targets.registry import find_target

    kind = find_target(CORES[core]).cores[0]
    name = board_of(kind)
    assert name is not None, core
    board = find_target(name)
    code = compile_model(MODELS / f"{FILES[model]}.tflite", name=model, core=kind)
    compiler = find_compiler(kind, prefer=prefer)
    with tempfile.TemporaryDirectory() as folder:
        elf = build_image(code, board, compiler, golden_of(model), Path(folder))
        run, sizes = emulate(elf, board), sizes_of(elf, model, Path(folder))
    if operators:
        show_operators(code, board, compiler, model)
    ram = sizes.arena_bytes + sizes.static_bytes + run.stack_bytes
    other = sizes.delivered_bytes - weight_bytes(model)
    return Row(run.instructions, other, ram, run.wrong_bytes), compiler.name


def show_operators(code: GeneratedCode, board: Target, compiler: object, model: str) -> None:
    from edgepack.converters.mcu.emulator import emulate
    from edgepack.converters.mcu.firmware import build_image

    with tempfile.TemporaryDirectory() as folder:
        elf = build_image(code, board, compiler, golden_of(model), Path(folder), ticks=True)  # type: ignore[arg-type]
        run = emulate(elf, board)
    for call, count in zip(code.program.calls, run.call_instructions, strict=True):
        each = f"{count / call.macs:.2f} a MAC" if call.macs else ""
        print(f"  {count:>12,}  {call.label:40} {call.kernel:34} {each}")


@cache
def golden_of(model: str) -> GoldenBytes:
    """Return the input of all figures, with what plain C makes of it on this machine."""
    from edgepack.converters.mcu.compile import compile_model
    from edgepack.converters.mcu.compilers import find_compiler
    from edgepack.converters.mcu.firmware import GoldenBytes
    from edgepack.converters.mcu.host_run import run_on_host

    code = compile_model(MODELS / f"{FILES[model]}.tflite", name=model)
    (index,) = code.program.inputs
    pattern = (np.arange(code.program.values[index].elements) * 31 + 7) % 256 - 128
    inputs = (pattern.astype(np.int8).tobytes(),)
    with tempfile.TemporaryDirectory() as folder:
        (outputs,) = run_on_host(code, find_compiler(None), [inputs], Path(folder))
    return GoldenBytes(inputs, outputs)


@cache
def weight_bytes(model: str) -> int:
    """Return the bytes of weights and biases as the model's file holds them."""
    from edgepack.converters.tflite.reader import read_graph

    graph = read_graph(MODELS / f"{FILES[model]}.tflite")
    used = {i for op in graph.main.operators if op.op in WEIGHTED for i in op.inputs if i >= 0}
    return sum(t.size_bytes or 0 for t in graph.main.tensors if t.index in used and t.is_constant)


if __name__ == "__main__":
    main()
