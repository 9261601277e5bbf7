"""Runs an image in QEMU and reads what its self test says: instructions, stack, bytes that differ.

Rules:
    * These are instructions, not cycles and not time: QEMU models neither. Whoever shows them says so.
    * `-icount shift=0` gives each instruction one nanosecond of the machine's time, so a counter at f hertz
      counts 10^9 / f instructions a tick, the same in every run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.converters.errors import CompilerError

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.targets.model import Core, Target

_LINE = re.compile(r"^ep (wrong|stack|ticks|call) ([0-9a-f]{16})$", re.MULTILINE)
_BOARDS = {
    "cortex-m0": "qemu-mps2-an385",
    "cortex-m0plus": "qemu-mps2-an385",  # no machine of QEMU has enough memory with this core
    "cortex-m3": "qemu-mps2-an385",
    "cortex-m4": "qemu-mps2-an386",
    "cortex-m7": "qemu-mps2-an500",
    "cortex-m33": "qemu-mps2-an505",
    "cortex-m55": "qemu-mps3-an547",
    "cortex-m85": "qemu-mps3-an547",  # the same instruction set
    "riscv32imc": "qemu-virt-riscv32",
}
"""Core to the emulated board that executes its code: its own, or one whose core executes a superset."""
_SECOND_NS = 1_000_000_000
_MAX_SHOWN = 500


@dataclass(frozen=True)
class EmulatedRun:
    """What the self test of an image found on an emulated board.

    Attributes:
        board: The target's name.
        instructions: Executed by one inference.
        wrong_bytes: Bytes of the outputs that are not the golden ones.
        stack_bytes: The deepest that the stack reached, found by painting it.
        call_instructions: The same for each call of a kernel; empty where they were not counted.
        resolution: Instructions between two ticks of the counter: every figure may be off by so many.
    """

    board: str
    instructions: int
    wrong_bytes: int
    stack_bytes: int
    call_instructions: tuple[int, ...]
    resolution: float


def board_of(core: Core) -> str | None:
    """Return the name of the emulated board that executes a core's code; None where there is none."""
    return _BOARDS.get(core.name)


def emulator_of(target: Target) -> str | None:
    """Return the QEMU program that emulates a target; None where it is not installed, or none does."""
    if target.firmware is None or target.firmware.machine is None:
        return None
    return shutil.which("qemu-system-riscv32" if target.arch.startswith("riscv") else "qemu-system-arm")


def emulate(image: Path, target: Target, *, timeout_s: float = 300) -> EmulatedRun:
    """Run an image to its end.

    Args:
        image: The ELF.
        target: The emulated board that it was linked for.
        timeout_s: How long QEMU may take.

    Raises:
        CompilerError: QEMU is missing, or the image did not come to its end.
    """
    program = emulator_of(target)
    if program is None or target.firmware is None or target.firmware.machine is None:
        message = f"Nothing emulates '{target.name}' here."
        raise CompilerError(message, remedy="Install QEMU: apt install qemu-system-arm qemu-system-misc")
    command = [program, "-M", target.firmware.machine, "-nographic", "-monitor", "none", "-serial", "null"]
    command += ["-bios", "none"] if target.arch.startswith("riscv") else []
    command += ["-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel", str(image)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as err:
        message = f"The image did not end on {target.firmware.machine} within {timeout_s:.0f} s."
        raise CompilerError(message, remedy="Report it, with the model.") from err
    return _read(done.stderr + done.stdout, target)


def _read(text: str, target: Target) -> EmulatedRun:
    found: dict[str, list[int]] = {"call": []}
    for name, value in _LINE.findall(text):
        found.setdefault(name, []).append(int(value, 16))
    if "ep done" not in text:
        shown = re.sub(r"[^\x20-\x7e\n]", "?", text)[-_MAX_SHOWN:].strip()
        message = f"The image stopped early on '{target.name}': {shown or 'it said nothing'}."
        raise CompilerError(message, remedy="This is a bug of edgepack: report it with the model.")
    tick = _instructions_per_tick(target)
    return EmulatedRun(
        board=target.name,
        instructions=round(found["ticks"][0] * tick),
        wrong_bytes=found["wrong"][0],
        stack_bytes=found["stack"][0],
        call_instructions=tuple(round(ticks * tick) for ticks in found["call"]),
        resolution=tick,
    )


def _instructions_per_tick(target: Target) -> float:
    """Return what a tick is worth: RISC-V counts instructions itself, SysTick counts the core's clock."""
    clock_hz = target.cores[0].clock_hz
    return 1.0 if target.arch.startswith("riscv") or clock_hz is None else _SECOND_NS / clock_hz
