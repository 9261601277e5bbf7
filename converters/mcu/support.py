"""Which operators can be compiled to C: the table of the documentation, and what `inspect` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu import lower as lowering

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph


def supported_operators() -> frozenset[str]:
    """Return the operators that have a kernel in C, or that cost nothing."""
    return frozenset((*lowering.LOWERINGS, *lowering.VIEWS))


def refusal(graph: Graph) -> ConversionError | None:
    """Return why a model cannot be compiled to C, whatever the core; None where it can."""
    try:
        lowering.lower(graph)
    except ConversionError as err:
        return err
    return None
