"""A quantized model for a microcontroller: C, library, image, and what they take.

    .tflite + Target ── compile ──> C ── compilers ──> library ── firmware ──> image
                                    │                                └── sizes, emulator ──> report
                                    └── host_run ──> golden outputs

Rules:
    * Whether it fits is decided before anything is built, from the exact plan of the arena.
    * The golden outputs come from the plain C on this machine. Where TFLite Micro is installed it must agree;
      where QEMU has the core, the core's own kernels must give the same bytes.
    * Counted instructions are marked as emulated. What was not measured is None, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu import tflite_micro
from edgepack.converters.mcu.compile import c_identifier, compile_model
from edgepack.converters.mcu.compilers import find_compiler
from edgepack.converters.mcu.emulator import board_of, emulate, emulator_of
from edgepack.converters.mcu.firmware import STACK_BYTES, GoldenBytes, build_image, build_library
from edgepack.converters.mcu.host_run import run_on_host
from edgepack.converters.mcu.image_formats import load_segments, to_bin, to_hex, to_uf2
from edgepack.converters.mcu.program import Table
from edgepack.converters.mcu.sizes import sizes_of
from edgepack.converters.mcu.sources import source_tree
from edgepack.targets.registry import find_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgepack.converters.mcu.compile import GeneratedCode
    from edgepack.converters.mcu.compilers import Compiler
    from edgepack.converters.mcu.emulator import EmulatedRun
    from edgepack.converters.mcu.sizes import Sizes
    from edgepack.targets.model import Core, Target


@dataclass(frozen=True)
class Product:
    """What a build for a microcontroller makes.

    Attributes:
        code: The generated code.
        files: Path in the package to content: `c/`, `lib/`, and for a board `image/`.
        golden: The golden inputs, with the bytes that the code gives for them.
        report: Flash, RAM, instructions, compiler and checks, as JSON values.
    """

    code: GeneratedCode
    files: Mapping[str, bytes]
    golden: tuple[GoldenBytes, ...]
    report: dict[str, Any]


def make_product(
    model: Path, *, name: str, target: Target, inputs: Sequence[tuple[bytes, ...]], folder: Path
) -> Product:
    """Compile a model for a microcontroller and measure what can be measured here.

    Args:
        model: The quantized `.tflite`.
        name: The package's name; the prefix in C is made from it.
        target: A target of family "mcu".
        inputs: Golden inputs: the bytes of every input, one tuple a case; one case at least.
        folder: Where everything is built.

    Raises:
        ConversionError: The model cannot be compiled, or it does not fit the target.
        CompilerError: There is no compiler, or what it built gives other bytes than the plain C.
    """
    core = None if target.arch == "native" else target.cores[0]
    prefix = c_identifier(name)
    code = compile_model(model, name=prefix, core=core)
    ensure_fits(code, target)
    host = find_compiler(None)
    plain = compile_model(model, name=prefix)
    outputs = run_on_host(plain, host, inputs, folder / "host")
    golden = tuple(GoldenBytes(given, found) for given, found in zip(inputs, outputs, strict=True))
    compiler = host if core is None else find_compiler(core)
    library = build_library(code, compiler, folder / "library")
    tree = {f"c/{path}": text.encode() for path, text in source_tree(code).items()}
    files = {**tree, f"lib/{library.name}": library.read_bytes()}
    sizes = None
    if target.firmware is not None:
        elf = build_image(code, target, compiler, golden[0], folder / "image")
        files |= _images(elf, target, prefix)
        sizes = sizes_of(elf, prefix, folder / "image")
    checks = ["bit-exact: the bytes of the plain C on the host", *_against_tflm(model, golden)]
    measured = _measure(code, core, compiler, golden[0], folder / "emulated")
    checks += [f"the core's kernels gave the same on {measured.run.board}"] if measured.run else []
    report = _report(code, target, compiler, sizes or measured.sizes, measured) | {"checks": checks}
    return Product(code, files, golden, report)


def _against_tflm(model: Path, golden: Sequence[GoldenBytes]) -> list[str]:
    """Hold the golden outputs against TFLite Micro, where it is installed; return what was checked."""
    version = tflite_micro.version()
    if version is None:
        return []
    found = tflite_micro.run(model, [case.inputs for case in golden])
    for number, (case, outputs) in enumerate(zip(golden, found, strict=True)):
        if case.outputs != outputs:
            message = (
                f"The generated C gives other bytes than TFLite Micro {version} for golden input {number}."
            )
            raise ConversionError(message, remedy="This is a bug of edgepack: report it with the model.")
    return [f"TFLite Micro {version} gave the same for {len(golden)} inputs"]


def ensure_fits(code: GeneratedCode, target: Target) -> None:
    """Raise unless the arena and the constants fit the target's memory.

    Raises:
        ConversionError: By how much they do not.
    """
    needs = {"ram": code.plan.arena_bytes + STACK_BYTES, "flash": constant_bytes(code)}
    for kind, needed in needs.items():
        sizes = [region.size_bytes for region in target.memory if region.kind == kind and region.size_bytes]
        if not sizes or needed <= max(sizes):
            continue
        what = f"an arena of {code.plan.arena_bytes} bytes and {STACK_BYTES} of stack"
        what = what if kind == "ram" else "weights and constants"
        message = (
            f"The model needs {needed} bytes of {kind} ({what}); the largest region of '{target.name}' has "
        )
        message += f"{max(sizes)}: {needed - max(sizes)} too few."
        help_ = "Smaller inputs or fewer channels" if kind == "ram" else "Fewer channels, or pruning"
        remedy = f"{help_} would help: edgepack inspect MODEL --target {target.name} names the operator."
        raise ConversionError(message, remedy=remedy)


def constant_bytes(code: GeneratedCode) -> int:
    """Return the bytes of a program's tables: what it takes of flash at least."""
    sizes = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2}
    tables = [v for call in code.program.calls for v in call.constants.values() if isinstance(v, Table)]
    return sum(table.data.size * sizes.get(table.c_type, 4) for table in tables)


def _images(elf: Path, target: Target, prefix: str) -> dict[str, bytes]:
    segments = load_segments(elf)
    found = {
        f"image/{prefix}.elf": elf.read_bytes(),
        f"image/{prefix}.bin": to_bin(segments)[1],
        f"image/{prefix}.hex": to_hex(segments).encode(),
    }
    if target.firmware is not None and target.firmware.uf2_family is not None:
        found[f"image/{prefix}.uf2"] = to_uf2(segments, target.firmware.uf2_family)
    return found


@dataclass(frozen=True)
class _Measured:
    """What an emulated board found; `reason` says why nothing did."""

    run: EmulatedRun | None
    calls: tuple[int, ...]
    sizes: Sizes | None
    reason: str | None


def _measure(
    code: GeneratedCode, core: Core | None, compiler: Compiler, golden: GoldenBytes, folder: Path
) -> _Measured:
    """Run the image of an emulated board that has this core, and hold its outputs against the golden ones."""
    name = board_of(core) if core else None
    if core is None or name is None:
        return _Measured(None, (), None, "no emulated board has this core")
    board = find_target(name)
    if emulator_of(board) is None:
        return _Measured(
            None, (), None, "QEMU is not installed: apt install qemu-system-arm qemu-system-misc"
        )
    elf = build_image(code, board, compiler, golden, folder / "whole")
    run = emulate(elf, board)
    if run.wrong_bytes:
        message = (
            f"The kernels for {core.name} give {run.wrong_bytes} other bytes than the plain C for one input."
        )
        raise ConversionError(message, remedy="This is a bug of edgepack: report it with the model.")
    sizes = sizes_of(elf, code.name, folder / "whole")
    calls = emulate(build_image(code, board, compiler, golden, folder / "calls", ticks=True), board)
    return _Measured(run, calls.call_instructions, sizes, None)


def _report(
    code: GeneratedCode, target: Target, compiler: Compiler, sizes: Sizes | None, measured: _Measured
) -> dict[str, Any]:
    run, plan = measured.run, code.plan
    peak = code.program.calls[plan.peak_call] if code.program.calls else None
    return {
        "target": target.name,
        "core": target.cores[0].name,
        "prefix": code.name,
        "compiler": {"name": compiler.name, "version": compiler.version, "triple": compiler.triple},
        "flash_bytes": None if sizes is None else {**sizes.flash, "total": sizes.flash_bytes},
        "ram_bytes": {
            "arena": plan.arena_bytes,
            "arena_lower_bound": plan.lower_bound_bytes,
            "static": None if sizes is None else sizes.static_bytes,
            "stack": None if run is None else run.stack_bytes,
        },
        "peak": None if peak is None else {"operator": peak.label, "tensors": _peak_tensors(code)},
        "emulated": None
        if run is None
        else {
            "board": run.board,
            "instructions": run.instructions,
            "resolution": run.resolution,
            "operators": [
                {"operator": call.label, "kernel": call.kernel, "macs": call.macs, "instructions": count}
                for call, count in zip(code.program.calls, measured.calls, strict=True)
            ],
        },
        "not_emulated_reason": measured.reason,
    }


def _peak_tensors(code: GeneratedCode) -> list[dict[str, Any]]:
    """Return the values of the call at which most bytes live, largest first."""
    call = code.program.calls[code.plan.peak_call]
    values = [code.program.values[index] for index in dict.fromkeys((*call.inputs, *call.outputs))]
    values.sort(key=lambda value: -value.size_bytes)
    return [{"name": value.name, "bytes": value.size_bytes} for value in values]
