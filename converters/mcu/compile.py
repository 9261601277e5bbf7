"""A `.tflite` to C: lower, plan, emit, with the kernels that the model calls.

    .tflite ── lower ──> Program ── tiers of the core ──> Program ── plan_memory ── emit ──> GeneratedCode

`sources.py` lays the code out as a user gets it, `compilers.py` builds it, `firmware.py` links an image.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.cores import PLAIN, tiers_of
from edgepack.converters.mcu.emit import Origin, emit_header, emit_source
from edgepack.converters.mcu.in_place import without_moves
from edgepack.converters.mcu.lower import lower
from edgepack.converters.mcu.plan_memory import plan_memory
from edgepack.converters.mcu.symbols import HEADER, needed_kernels, symbol_header
from edgepack.converters.mcu.tiers import dsp, m3, mve, scalar
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgepack.converters.mcu.plan_memory import MemoryPlan
    from edgepack.converters.mcu.program import Call, Program
    from edgepack.targets.model import Core

TIERS: Mapping[str, Callable[[Call], Call]] = {
    PLAIN: lambda call: call,
    "dsp": dsp.specialize,
    "m3": m3.specialize,
    "mve": mve.specialize,
    "scalar": scalar.specialize,
}
"""Tier to the function that gives a call this tier's kernel, or returns it as it is."""
KERNELS = Path(__file__).parent / "kernels"
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class GeneratedCode:
    """C code of a model.

    Attributes:
        name: The prefix of its functions.
        files: File name to content, all in one folder; what has to be compiled ends in `.c`.
        program: The program.
        plan: Its memory plan.
        origin: What it was made from, for the banner.
    """

    name: str
    files: Mapping[str, str]
    program: Program
    plan: MemoryPlan
    origin: Origin

    def with_ticks(self) -> GeneratedCode:
        """Return the same code calling `ep_tick(n)` after call n, to count what each one costs."""
        source = emit_source(self.name, self.program, self.plan, self.origin, ticks=True)
        return replace(self, files={**self.files, f"{self.name}.c": source})


def compile_model(
    model: Path | str | bytes, *, name: str, core: Core | None = None, tier: str | None = None
) -> GeneratedCode:
    """Compile a model to C.

    Args:
        model: The `.tflite` or its bytes.
        name: Prefix of the generated functions: a C identifier in lower case.
        core: The core that will run it; None for plain C99.
        tier: Take this tier's kernels, whatever the core.

    Raises:
        ConversionError: The file is unsound, the name no identifier, or an operator has no kernel.
    """
    if not _IDENTIFIER.fullmatch(name):
        msg = f"'{name}' cannot be the prefix of C functions; expected lower-case letters, digits and '_'."
        raise ConversionError(msg, remedy="Name the model with --name.")
    program = lower(read_graph(model))
    data = model if isinstance(model, bytes) else Path(model).read_bytes()
    tiers = (tier, PLAIN) if tier else tiers_of(core)
    program = replace(program, calls=tuple(_specialize(call, tiers) for call in program.calls))
    program = without_moves(program)  # after the tiers, whose scratch weighs on what is worth its place
    plan = plan_memory(program)
    origin = Origin(hashlib.sha256(data).hexdigest(), core.name if core else "any core")
    headers = {
        path.name: path.read_text(encoding="utf-8") for path in sorted((KERNELS / "include").glob("*.h"))
    }
    kernels = needed_kernels((call.kernel for call in program.calls), KERNELS / "src")
    files = {
        f"{name}.h": emit_header(name, program, plan, origin),
        f"{name}.c": emit_source(name, program, plan, origin),
        **dict(sorted(headers.items())),
        HEADER: symbol_header(kernels, headers),
        **{f"{kernel}.c": text for kernel, text in kernels.items()},
    }
    return GeneratedCode(name, files, program, plan, origin)


def c_identifier(name: str) -> str:
    """Return the prefix of C functions that a package's name gives: "my-model.v2" is "my_model_v2"."""
    found = re.sub(r"[^a-z0-9_]", "_", name.lower())
    return (found if found[:1].isalpha() else f"model_{found}")[:63]


def _specialize(call: Call, tiers: tuple[str, ...]) -> Call:
    """Return the call with the kernel of the first tier that has one for it."""
    for tier in tiers:
        specialize = TIERS.get(tier)
        found = specialize(call) if specialize else call
        if found is not call:
            return found
    return call
