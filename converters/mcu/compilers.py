"""C compilers: which one builds for a core, with which flags; objects, a static library, a linked image.

Rules:
    * `arm-none-eabi-gcc` and zig (`pip install "edgepack[mcu]"`) both build for Cortex-M. Which is taken when
      both are there is a measured result, `_PREFERRED`; docs/microcontrollers.md shows the figures.
    * Nothing of the user's reaches a shell; a compiler's output is shown when it fails, and only then.

Zig's clang needs its extensions by name (`cortex_m4` alone has no floating-point unit), and `-fhosted`,
without which it calls memcpy for four bytes. It has no C library for bare metal: `firmware/include` has what
is called.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgepack.converters.errors import CompilerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.targets.model import Core

CompilerName = Literal["gcc", "zig"]
FIRMWARE = Path(__file__).parents[2] / "device_agent" / "firmware"
"""Start-up code and linker script, plain files."""
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wpedantic")
_UNWIND = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
_CODE = ("-std=c99", "-O2", "-ffunction-sections", "-fdata-sections", *_UNWIND)
# GCC turns copying loops into calls of memcpy, and so the loop inside memcpy into a call of itself.
_GCC = ("-fno-tree-loop-distribute-patterns",)
# Behind all others, for a GCC without a C library: Debian installs one only where it is asked to.
_GCC_HEADERS = tuple(w for f in ("include", "include_gcc") for w in ("-idirafter", str(FIRMWARE / f)))
_ZIG = ("-fhosted", "-fno-builtin-memmove", "-fno-sanitize=undefined", "-fno-stack-protector")
_PREFERRED: dict[str, CompilerName] = {"cortex-m55": "zig", "cortex-m85": "zig"}
"""Core to the compiler whose code executes clearly fewer instructions, where that is not GCC, whose code is
smaller; `python -m benchmarks mcu --compilers gcc,zig` measures."""
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Compiler:
    """A compiler set up for one core.

    Attributes:
        name: "gcc" or "zig".
        version: What it says about itself.
        command: What starts it, with the flags of the core.
        archiver: What makes static libraries.
        triple: What it builds for, such as "arm-none-eabi"; "host" for this machine.
    """

    name: CompilerName
    version: str
    command: tuple[str, ...]
    archiver: tuple[str, ...]
    triple: str

    def compile(self, sources: Iterable[Path], folder: Path, *flags: str) -> list[Path]:
        """Compile C files into `folder`, one object a file, and return the objects.

        Raises:
            CompilerError: The compiler refused a file.
        """
        own = _GCC if self.name == "gcc" else _ZIG
        folder.mkdir(parents=True, exist_ok=True)
        objects = []
        for source in sources:
            made = folder / f"{source.stem}.o"
            # By its bare name: a path would end up in the object, and the same code would give other bytes.
            _run((*self.command, *_CODE, *own, *flags, "-c", source.name, "-o", str(made)), source.parent)
            objects.append(made)
        return objects

    def archive(self, objects: Iterable[Path], library: Path) -> Path:
        """Write a static library; the same objects give the same bytes."""
        library.unlink(missing_ok=True)
        _run((*self.archiver, "rcsD", str(library), *map(str, objects)))
        return library

    def link(self, objects: Iterable[Path], script: Path, image: Path) -> Path:
        """Link an image for bare metal after a linker script.

        Raises:
            CompilerError: A symbol is missing, or the image does not fit its regions.
        """
        after = ("-nostdlib", "-Wl,--gc-sections", f"-Wl,-T,{script}")
        files = map(str, objects)
        if self.name == "gcc":
            _run((*self.command, *after, *files, "-lgcc", "-o", str(image)))
        else:  # without -nostdlib, for zig then links its own 64-bit division and floating point
            _run(
                (
                    *self.command,
                    "-Wl,--gc-sections",
                    "-Wl,-e,ep_reset",
                    "-T",
                    str(script),
                    *files,
                    "-o",
                    str(image),
                )
            )
        return image

    def link_program(self, objects: Iterable[Path], program: Path) -> Path:
        """Link a program for this machine."""
        _run((*self.command, *map(str, objects), "-o", str(program)))
        return program


def find_compiler(core: Core | None, *, prefer: CompilerName | None = None) -> Compiler:
    """Return a compiler for a core: the better one where both are installed.

    Args:
        core: The core; None for this machine.
        prefer: Take this one; it is an error when it is not there.

    Raises:
        CompilerError: None is installed, with the command that installs one.
    """
    first = prefer or _PREFERRED.get(core.name if core else "", "gcc")
    makers = {"gcc": lambda: _gcc(core), "zig": lambda: _zig(core)}
    order: list[CompilerName] = [first] if prefer else [first, "zig" if first == "gcc" else "gcc"]
    for name in order:
        if found := makers[name]():
            return found
    what = f"for {core.name}" if core else "for this machine"
    message = f"There is no C compiler {what}: looked for {' and '.join(_wanted(core, order))}."
    raise CompilerError(message, remedy='Install one: pip install "edgepack[mcu]"')


def _wanted(core: Core | None, order: Sequence[CompilerName]) -> list[str]:
    gcc = "gcc" if core is None else f"{_gcc_prefix(core)}gcc"
    return [gcc if name == "gcc" else "zig (the package ziglang)" for name in order]


def _gcc_prefix(core: Core) -> str:
    return "riscv64-unknown-elf-" if core.isa.startswith("rv32") else "arm-none-eabi-"


def _gcc(core: Core | None) -> Compiler | None:
    prefix = "" if core is None else _gcc_prefix(core)
    program = shutil.which(f"{prefix}gcc") or (shutil.which("cc") if core is None else None)
    archiver = shutil.which(f"{prefix}ar")
    if program is None or archiver is None:
        return None
    flags = () if core is None else (*_gcc_flags(core), *_GCC_HEADERS)
    if core is not None and not _knows(program, flags):
        return None
    return Compiler("gcc", _version(program), (program, *flags), (archiver,), prefix.rstrip("-") or "host")


def _gcc_flags(core: Core) -> tuple[str, ...]:
    if core.isa.startswith("rv32"):
        return (f"-march={core.isa}", "-mabi=ilp32")
    name = core.name
    lacking = [
        extension
        for extension in _GCC_OPTIONS.get(name, ())
        if extension not in core.features and not (extension == "mve.fp" and "mve" not in core.features)
    ]
    suffix = "".join(f"+no{extension}" for extension in lacking)
    return (f"-mcpu={name}{suffix}", "-mthumb", f"-mfloat-abi={'hard' if 'fp' in core.features else 'soft'}")


# Extensions that GCC assumes for a core and that can be taken away, in the order in which GCC takes them.
_GCC_OPTIONS = {
    "cortex-m4": ("fp",),
    "cortex-m7": ("fp", "fp.dp"),
    "cortex-m33": ("fp", "dsp"),
    "cortex-m55": ("mve", "mve.fp", "fp", "dsp"),
    "cortex-m85": ("mve", "mve.fp", "fp", "dsp"),
}


@cache
def _knows(program: str, flags: tuple[str, ...]) -> bool:
    """Return whether a GCC knows a core: cortex-m85 came with version 13."""
    done = subprocess.run(
        [program, *flags, "-E", "-x", "c", "-"],
        input=b"",
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    return done.returncode == 0


def _zig(core: Core | None) -> Compiler | None:
    program: tuple[str, ...]
    if importlib.util.find_spec("ziglang") is not None:
        program = (sys.executable, "-m", "ziglang")
    elif (found := shutil.which("zig")) is not None:
        program = (found,)
    else:
        return None
    flags, triple = ((), "host") if core is None else _zig_flags(core)
    return Compiler("zig", _version(*program, "version"), (*program, "cc", *flags), (*program, "ar"), triple)


def _zig_flags(core: Core) -> tuple[tuple[str, ...], str]:
    include = ("-isystem", str(FIRMWARE / "include"))
    if core.isa.startswith("rv32"):
        letters = "".join(f"+{letter}" for letter in core.isa[5:])
        return (
            "-target",
            "riscv32-freestanding-none",
            f"-mcpu=generic_rv32{letters}",
            *include,
        ), "riscv32-none"
    triple = "thumb-freestanding-eabihf" if "fp" in core.features else "thumb-freestanding-eabi"
    cpu = core.name.replace("-", "_") + "".join(f"+{extension}" for extension in _zig_extensions(core))
    return ("-target", triple, f"-mcpu={cpu}", *include), triple


def _zig_extensions(core: Core) -> list[str]:
    """Return clang's names for a core's extensions, which `cortex_m4` and the like leave out."""
    have, old = core.features, core.name == "cortex-m4"
    found = ["dsp"] if "dsp" in have and core.isa.startswith("armv8") else []
    if "mve.fp" in have:
        found.append("mve_fp")
    elif "mve" in have:
        found.append("mve")
    if "fp.dp" in have:
        found.append("fp_armv8d16")
    elif "fp" in have and "mve.fp" not in have:
        found.append("vfp4d16sp" if old else "fp_armv8d16sp")
    return found


@cache
def _version(*command: str) -> str:
    words = command if command[-1] == "version" else (*command, "-dumpfullversion")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        message = f"{command[0]} could not be run: {err}."
        raise CompilerError(message, remedy="Install the compiler again.") from err
    if done.returncode:
        text = re.sub(r"[^\x20-\x7e\n]", "?", done.stderr)[-2000:].strip()
        message = f"{Path(command[0]).name} failed with code {done.returncode}:\n{text}"
        raise CompilerError(message, remedy="The generated code and this compiler do not fit: report it.")
