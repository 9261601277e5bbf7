"""Which operators can be compiled to C: the table of the documentation, and what `inspect` says."""

from __future__ import annotations

from pathlib import Path

from edgepack.converters.mcu import lower as lowering
from edgepack.converters.mcu.fold import FOLDED
from edgepack.converters.mcu.variables import VARIABLE_OPERATORS

_SOURCES = Path(__file__).parent / "kernels" / "src"
TIERS = {
    "dsp": "Cortex-M4, M7, M33",
    "mve": "Cortex-M55, M85",
    "m3": "Cortex-M3",
    "scalar": "Cortex-M0+, RISC-V",
}
"""Tier to the cores that it is for."""


def supported_operators() -> frozenset[str]:
    """Return the operators that have a kernel in C, or that cost nothing."""
    return frozenset((*lowering.LOWERINGS, *lowering.VIEWS, *FOLDED, *VARIABLE_OPERATORS))


def tiers_with_a_kernel(operator: str) -> tuple[str, ...]:
    """Return the tiers that have a kernel of their own for an operator; other cores run the plain one."""
    stem = f"ep_{operator.lower()}"
    names = [path.stem for path in _SOURCES.glob(f"{stem}_*__*.c")]
    return tuple(tier for tier in TIERS if any(name.endswith(f"__{tier}") for name in names))


def operator_table() -> str:
    """Return the table of supported operators as Markdown."""
    lines = ["| operator | every core | " + " | ".join(TIERS.values()) + " |"]
    lines.append("| --- |" + " --- |" * (len(TIERS) + 1))
    free = {*lowering.VIEWS, *FOLDED, *VARIABLE_OPERATORS}
    for operator in sorted(supported_operators()):
        own = tiers_with_a_kernel(operator)
        cells = ["own kernel" if tier in own else "" for tier in TIERS]
        lines.append(
            f"| `{operator}` | {'costs nothing' if operator in free else 'C'} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"
