"""An image for a board: start-up code, the model and a self test, linked after the target's memory.

    GeneratedCode + Target ── compilers ──> ELF ── image_formats ──> BIN, HEX, UF2
                                             └── sizes.py, emulator.py

Rules:
    * The linker script and what boots the chip come from the target's file; nothing here knows a board.
    * The image runs from the first flash region that holds it, with the first RAM region that does.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.converters.errors import CompilerError
from edgepack.converters.mcu.compilers import FIRMWARE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edgepack.converters.mcu.compile import GeneratedCode
    from edgepack.converters.mcu.compilers import Compiler
    from edgepack.targets.model import MemoryRegion, Target

STACK_BYTES = 2048
"""Room that an image leaves for the stack, at least; what it uses is measured."""
_BOOT_BYTES = 256
_CRC_POLYNOMIAL = 0x04C11DB7


@dataclass(frozen=True)
class GoldenBytes:
    """One input of a model and the output that it must give, as raw little-endian tensors.

    Attributes:
        inputs: The bytes of each input.
        outputs: The bytes of each output.
    """

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]


def build_library(code: GeneratedCode, compiler: Compiler, folder: Path) -> Path:
    """Compile generated code into `lib<name>.a` and return its path.

    Args:
        code: The code.
        compiler: What builds it.
        folder: Where sources, objects and the library are written.

    Raises:
        CompilerError: The compiler refused the code.
    """
    return compiler.archive(model_objects(code, compiler, folder), folder / f"lib{code.name}.a")


def build_image(
    code: GeneratedCode,
    target: Target,
    compiler: Compiler,
    golden: GoldenBytes,
    folder: Path,
    *,
    ticks: bool = False,
) -> Path:
    """Build `<name>.elf` for a board.

    Args:
        code: The model's code.
        target: A target with `[firmware]` and memory of both kinds.
        compiler: What builds it.
        golden: What the self test runs and compares.
        folder: Where everything is written.
        ticks: Count what each call of a kernel costs, on an emulated board.

    Raises:
        CompilerError: The compiler refused the code, or the image does not fit the board.
    """
    assert target.firmware is not None
    measured = code.with_ticks() if ticks else code
    objects = model_objects(measured, compiler, folder)
    golden_source = folder / "ep_golden.c"
    golden_source.write_text(golden_text(code, golden), encoding="utf-8")
    riscv = target.arch.startswith("riscv")
    console = "console_semihosting" if target.firmware.machine else "console_none"
    start = "start_riscv" if riscv else "start_cortex_m"
    sources = [FIRMWARE / f"{name}.c" for name in (start, console, "memory", "self_test")]
    sources += _boot_sources(target, compiler, folder)
    calls = (f"-DEP_CALLS={len(code.program.calls)}",) if ticks else ()
    flags = ("-Os", "-I", str(FIRMWARE), *calls)
    objects += compiler.compile([*sources, golden_source], folder / "start", *flags)
    script = folder / "image.ld"
    script.write_text(linker_script(target, code.plan.arena_bytes, _bytes_of(objects)), encoding="utf-8")
    return compiler.link(objects, script, folder / f"{code.name}.elf")


def golden_text(code: GeneratedCode, golden: GoldenBytes) -> str:
    """Return the C file that ties the self test to a model: its arena, its golden input and output."""
    lines = [f'#include "ep_board.h"\n#include "src/{code.name}.h"\n']
    lines.append(f"uint8_t ep_arena[{code.plan.arena_bytes}] __attribute__((aligned(16)));\n")
    start = f"{code.name}_init(arena);" if code.program.state else "(void)arena;"
    lines.append(f"void ep_model_start(void *arena) {{ {start} }}\n")
    lines.append(f"void ep_model_invoke(void *arena) {{ {code.name}_invoke(arena); }}\n")
    for kind, values, contents in (
        ("input", code.program.inputs, golden.inputs),
        ("output", code.program.outputs, golden.outputs),
    ):
        rows = []
        for number, (value, data) in enumerate(zip(values, contents, strict=True)):
            lines.append(_array(f"ep_golden_{kind}_{number}", data))
            rows.append(f"{{{code.plan.offsets[value]}, {len(data)}, ep_golden_{kind}_{number}}}")
        lines.append(f"const ep_span ep_golden_{kind}s[{len(rows)}] = {{{', '.join(rows)}}};")
        lines.append(f"const uint32_t ep_golden_{kind}_count = {len(rows)};\n")
    return "\n".join(lines)


def linker_script(target: Target, arena_bytes: int, code_bytes: int) -> str:
    """Return the linker script of an image.

    Args:
        target: The board.
        arena_bytes: The model's arena.
        code_bytes: What code and constants take, roughly: decides which flash region is taken.

    Raises:
        CompilerError: The board states no memory, or too little for the arena.
    """
    flash = _region(target, "flash", code_bytes)
    ram = _region(target, "ram", arena_bytes + STACK_BYTES)
    values = {
        "FLASH_ORIGIN": hex(flash.address or 0),
        "FLASH_BYTES": str(flash.size_bytes),
        "RAM_ORIGIN": hex(ram.address or 0),
        "RAM_BYTES": str(ram.size_bytes),
        "STACK_BYTES": str(STACK_BYTES),
    }
    template = (FIRMWARE / "image.ld").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], template)


def _region(target: Target, kind: str, needed_bytes: int) -> MemoryRegion:
    """Return the first region of a kind that holds what is needed."""
    regions = [r for r in target.memory if r.kind == kind and r.size_bytes and r.address is not None]
    for region in regions:
        if (region.size_bytes or 0) >= needed_bytes:
            return region
    largest = max((r.size_bytes or 0 for r in regions), default=0)
    message = f"Target '{target.name}' has no {kind} for this model: {needed_bytes} bytes are needed, "
    message += f"its largest region has {largest}: {needed_bytes - largest} too few."
    raise CompilerError(message, remedy=f"See what would help: edgepack inspect MODEL --target {target.name}")


def model_objects(code: GeneratedCode, compiler: Compiler, folder: Path) -> list[Path]:
    """Write generated code into `<folder>/src`, compile it, and return the objects."""
    source = folder / "src"
    source.mkdir(parents=True, exist_ok=True)
    for name, text in code.files.items():
        (source / name).write_text(text, encoding="utf-8")
    return compiler.compile([source / name for name in code.files if name.endswith(".c")], folder / "objects")


def _bytes_of(objects: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in objects)


def _boot_sources(target: Target, compiler: Compiler, folder: Path) -> Sequence[Path]:
    """Return what the chip's boot ROM wants to find in flash."""
    boot = target.firmware.boot if target.firmware else None
    if boot == "rp2350":
        return [FIRMWARE / "boot_rp2350.c"]
    if boot == "rp2040":
        (unsealed,) = compiler.compile([FIRMWARE / "boot_rp2040.S"], folder / "boot")
        sealed = folder / "boot_rp2040_sealed.c"
        data = seal_boot(_section(unsealed, ".ep_boot"))
        text = _array("ep_boot", data, '__attribute__((section(".ep_boot"), used))')
        sealed.write_text(f"#include <stdint.h>\n\n{text}\n", encoding="utf-8")
        return [sealed]
    return []


def seal_boot(code: bytes) -> bytes:
    """Return the 256 bytes of an RP2040's second stage: the code, zeros, and the CRC of both.

    Source: RP2040 Datasheet, "Checksum": CRC-32, polynomial 0x04c11db7, start 0xffffffff, nothing reflected.
    """
    if len(code) > _BOOT_BYTES - 4:
        message = f"The second stage takes {len(code)} bytes of {_BOOT_BYTES - 4}."
        raise CompilerError(message, remedy="Report it, with the version of the compiler.")
    body = code.ljust(_BOOT_BYTES - 4, b"\0")
    crc = 0xFFFFFFFF
    for byte in body:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return body + struct.pack("<I", crc)


def _section(path: Path, name: str) -> bytes:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(name)
        assert section is not None, f"{path} has no section {name}"
        return bytes(section.data())


def _array(name: str, data: bytes, attribute: str = "") -> str:
    rows = [", ".join(str(byte) for byte in data[i : i + 24]) for i in range(0, len(data), 24)]
    head = f"{attribute} const uint8_t {name}[{len(data)}]".strip()
    return f"{head} = {{\n  " + ",\n  ".join(rows) + "\n};"
