"""A `.tflite` to a folder of C: lower, plan, emit, with the kernels that the model uses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.emit import emit_header, emit_source
from edgepack.converters.mcu.lower import lower
from edgepack.converters.mcu.plan_memory import plan_memory
from edgepack.converters.mcu.tiers import dsp
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from edgepack.converters.mcu.plan_memory import MemoryPlan
    from edgepack.converters.mcu.program import Program

TIERS = {"c": lambda call: call, "dsp": dsp.specialize}
KERNELS = Path(__file__).parent / "kernels"
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class GeneratedCode:
    """C code of a model.

    Attributes:
        name: The prefix of its functions.
        files: Relative path to content; what has to be compiled ends in `.c`.
        program: The program.
        plan: Its memory plan.
    """

    name: str
    files: dict[str, str]
    program: Program
    plan: MemoryPlan


def compile_model(model: Path | str | bytes, *, name: str, tier: str = "c") -> GeneratedCode:
    """Compile a model to C.

    Args:
        model: The `.tflite` or its bytes.
        name: Prefix of the generated functions: a C identifier in lower case.
        tier: "c" for plain C99, "dsp" for cores with the DSP extension.

    Raises:
        ConversionError: The file is unsound, the name no identifier, or an operator has no kernel.
    """
    if not _IDENTIFIER.fullmatch(name):
        msg = f"'{name}' cannot be the prefix of C functions; expected lower-case letters, digits and '_'."
        raise ConversionError(msg, remedy="Name the model with --name.")
    program = lower(read_graph(model))
    specialize = TIERS[tier]
    program = replace(program, calls=tuple(specialize(call) for call in program.calls))
    plan = plan_memory(program)
    files = {f"{name}.h": emit_header(name, program, plan), f"{name}.c": emit_source(name, program, plan)}
    for header in ("ep_fixed_point.h", "ep_kernels.h", "ep_dsp.h"):
        files[header] = (KERNELS / "include" / header).read_text(encoding="utf-8")
    for kernel in sorted({call.kernel for call in program.calls}):
        files[f"{kernel}.c"] = (KERNELS / "src" / f"{kernel}.c").read_text(encoding="utf-8")
    return GeneratedCode(name, files, program, plan)
