"""Runs generated code on this machine, in a process of its own: what the golden outputs are made with."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from edgepack.converters.errors import CompilerError
from edgepack.converters.mcu.compilers import FIRMWARE
from edgepack.converters.mcu.firmware import GoldenBytes, golden_text, model_objects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgepack.converters.mcu.compile import GeneratedCode
    from edgepack.converters.mcu.compilers import Compiler

_TIMEOUT_S = 300


def run_on_host(
    code: GeneratedCode, compiler: Compiler, inputs: Sequence[tuple[bytes, ...]], folder: Path
) -> list[tuple[bytes, ...]]:
    """Return the outputs of inferences, each from the model's first state.

    Args:
        code: Code in plain C.
        compiler: A compiler for this machine.
        inputs: For each inference the bytes of every input.
        folder: Where the program is built.

    Raises:
        CompilerError: The code does not build, or the program failed.
    """
    spec = [code.program.values[index] for index in code.program.outputs]
    empty = GoldenBytes(inputs[0], tuple(b"\0" * value.size_bytes for value in spec))
    objects = model_objects(code, compiler, folder)
    (folder / "ep_golden.c").write_text(golden_text(code, empty), encoding="utf-8")
    sources = [FIRMWARE / "host_main.c", folder / "ep_golden.c"]
    objects += compiler.compile(sources, folder / "start", "-I", str(FIRMWARE))
    program = compiler.link_program(objects, folder / "host_run")
    fed = b"".join(part for each in inputs for part in each)
    try:
        done = subprocess.run([str(program)], input=fed, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as err:
        message = f"The generated code does not run here: {err}."
        raise CompilerError(message, remedy="Report it, with the model.") from err
    sizes = [value.size_bytes for value in spec]
    if done.returncode or len(done.stdout) != sum(sizes) * len(inputs):
        message = f"The generated code failed here with code {done.returncode}."
        raise CompilerError(message, remedy="Report it, with the model.")
    return list(_cut(done.stdout, sizes))


def _cut(data: bytes, sizes: Sequence[int]) -> list[tuple[bytes, ...]]:
    runs, position = [], 0
    while position < len(data):
        parts = []
        for size in sizes:
            parts.append(data[position : position + size])
            position += size
        runs.append(tuple(parts))
    return runs
