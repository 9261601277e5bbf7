"""What a core means for generated code: which tiers of kernels it takes, best first.

A core is a `targets.model.Core`: its instruction set and its extensions, as the target's file states them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.targets.model import Core

PLAIN = "c"
"""The tier that every core runs; it defines the answer."""


def tiers_of(core: Core | None) -> tuple[str, ...]:
    """Return the tiers whose kernels a core can run, fastest first; they end with the plain one.

    Args:
        core: The core; None for a host, which runs plain C99.
    """
    if core is None:
        return (PLAIN,)
    extensions = [name for name in ("mve", "dsp") if name in core.features]
    return (*extensions, *(("m3",) if _has_long_multiply(core) else ()), "scalar", PLAIN)


def _has_long_multiply(core: Core) -> bool:
    """Whether a core has SMLAL, as Armv7-M and later main-line cores do."""
    return core.isa.startswith(("armv7", "armv8-m.main", "armv8.1-m"))
