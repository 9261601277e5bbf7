"""Whether a target can hold and run a model: operators, flash, RAM, and what would help.

Rules:
    * The needs are lower bounds counted from the file: "does not fit" is certain, "fits" leaves out the
      runtime itself, kernel code and scratch buffers. Each verdict carries what it leaves out.
    * Where the target states no size the verdict is None with the reason, never a guess.
    * On a microcontroller weights lie in flash and activations in one RAM region. On Linux and Android the
      model file, widened weights and activations all lie in RAM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgepack.converters.mcu.support import supported_operators
from edgepack.converters.tflite.precision import precision_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.converters.graph import Graph
    from edgepack.targets.model import MemoryRegion, Target
    from edgepack.toolchain.analyze.cost import ModelCost

_FLOAT_ACTIVATIONS = ("float32", "float16", "dynamic-int8")


@dataclass(frozen=True)
class UnsupportedOperator:
    """An operator that the target's runtime cannot run.

    Attributes:
        op: Its name.
        indices: Where it stands in the main subgraph; empty where only another subgraph holds it.
    """

    op: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class MemoryFit:
    """One kind of memory: need against room.

    Attributes:
        kind: "flash" or "ram".
        needed_bytes: What the model needs at least.
        region: The region that it is held against; None where the target states no size.
        available_bytes: Size of that region; None likewise.
        left_out: What `needed_bytes` does not contain, in words.
        unknown_reason: Why there is no verdict; None where there is one.
    """

    kind: Literal["flash", "ram"]
    needed_bytes: int
    region: str | None
    available_bytes: int | None
    left_out: str
    unknown_reason: str | None

    @property
    def fits(self) -> bool | None:
        """Whether it fits; None where the target states no size."""
        return None if self.available_bytes is None else self.needed_bytes <= self.available_bytes

    @property
    def short_bytes(self) -> int | None:
        """By how much it does not fit, 0 where it does; None where the target states no size."""
        return None if self.available_bytes is None else max(0, self.needed_bytes - self.available_bytes)


@dataclass(frozen=True)
class Fit:
    """The verdict on a model and a target.

    Attributes:
        target: The target's name.
        precision: The model's own precision (`precision_of`).
        unsupported: Operators that the runtime lacks.
        memory: One entry a kind of memory.
        advice: What would help, most effective first; empty where nothing stands in the way.
    """

    target: str
    precision: str
    unsupported: tuple[UnsupportedOperator, ...]
    memory: tuple[MemoryFit, ...]
    advice: tuple[str, ...]

    @property
    def runs(self) -> bool | None:
        """False if something certainly stands in the way, True if all is known and fits, else None."""
        verdicts = [entry.fits for entry in self.memory]
        if self.unsupported or False in verdicts:
            return False
        return None if None in verdicts else True


def fit(graph: Graph, cost: ModelCost, target: Target) -> Fit:
    """Return whether a target can hold and run a model.

    Args:
        graph: The model.
        cost: `analyze(graph)`.
        target: The target.
    """
    precision = precision_of(graph)
    unsupported = tuple(_unsupported(graph, target))
    memory = _mcu_memory(cost, target) if target.family == "mcu" else (_process_memory(cost, target),)
    return Fit(
        target=target.name,
        precision=precision,
        unsupported=unsupported,
        memory=memory,
        advice=tuple(_advice(cost, target, precision, unsupported, memory)),
    )


def _unsupported(graph: Graph, target: Target) -> Iterator[UnsupportedOperator]:
    """Yield what the runtime lacks, in all subgraphs; "CUSTOM" means any custom operator."""
    lacking = set(target.runtime.unsupported_operators)
    if target.family == "mcu":
        used = {operator.op for subgraph in graph.subgraphs for operator in subgraph.operators}
        lacking |= used - supported_operators()
    found: dict[str, list[int]] = {}
    for subgraph in graph.subgraphs:
        for operator in subgraph.operators:
            if operator.op in lacking or operator.label in lacking:
                found.setdefault(operator.label, []).extend([operator.index] if subgraph.index == 0 else [])
    for name in sorted(found):
        yield UnsupportedOperator(name, tuple(found[name]))


def _mcu_memory(cost: ModelCost, target: Target) -> tuple[MemoryFit, ...]:
    memory = cost.memory
    return (
        _held("flash", cost.weight_bytes, target, "code of the kernels and the quantization tables"),
        _held(
            "ram",
            memory.peak_bytes + memory.state_bytes + memory.dequantized_weight_bytes,
            target,
            "stack, scratch buffers of the kernels and the runtime's tables",
        ),
    )


def _process_memory(cost: ModelCost, target: Target) -> MemoryFit:
    memory = cost.memory
    needed = cost.file_bytes + memory.peak_bytes + memory.state_bytes + memory.dequantized_weight_bytes
    return _held("ram", needed, target, "the operating system, the runtime and its repacked weights")


def _held(kind: Literal["flash", "ram"], needed: int, target: Target, left_out: str) -> MemoryFit:
    """Hold a need against the largest region of its kind; data of one model lies in one region."""
    regions = [region for region in target.memory if region.kind == kind]
    region = max(regions, key=_size, default=None)
    unsized = [r.name for r in regions if r.size_bytes is None]
    if region is None or region.size_bytes is None or (unsized and needed > region.size_bytes):
        which = f"no size for {', '.join(unsized)}" if unsized else f"no {kind}"
        return MemoryFit(kind, needed, None, None, left_out, f"target '{target.name}' states {which}")
    return MemoryFit(kind, needed, region.name, region.size_bytes, left_out, None)


def _size(region: MemoryRegion) -> int:
    return -1 if region.size_bytes is None else region.size_bytes


def _advice(
    cost: ModelCost,
    target: Target,
    precision: str,
    unsupported: tuple[UnsupportedOperator, ...],
    memory: tuple[MemoryFit, ...],
) -> Iterator[str]:
    for operator in unsupported:
        yield f"Replace {operator.op} in the model: {_runtime_name(target)} does not have it."
    short = [entry for entry in memory if entry.short_bytes]
    if short:
        yield from _narrower(target, precision, short)
    for entry in short:
        if entry.kind == "ram" and cost.memory.peak_tensors:
            yield _peak_advice(cost)
        yield f"Or take a target with {entry.needed_bytes} bytes of {entry.kind} or more: `edgepack targets`."


def _runtime_name(target: Target) -> str:
    return "generated C" if target.family == "mcu" else f"the {target.runtime.kind} runtime"


def _narrower(target: Target, precision: str, short: list[MemoryFit]) -> Iterator[str]:
    """Yield the lower precision that this target can be built for and that shrinks what is too large."""
    if precision in _FLOAT_ACTIVATIONS and "int8" in target.precisions:
        what = "weights and activations" if precision == "float32" else "activations"
        yield f"Quantize to int8: {what} then take about a quarter of their float32 size."
    elif precision == "int8" and "int4" in target.precisions and any(e.kind == "flash" for e in short):
        yield "Quantize the weights to int4: they then take about half."
    if any(entry.kind == "flash" for entry in short):
        yield "Compress the model with fewer channels: `edgepack compress`."


def _peak_advice(cost: ModelCost) -> str:
    """Name what sets the peak, for that is what must shrink."""
    worst = cost.peak_operator
    where = f"operator {worst.index} ({worst.op})" if worst else "the inputs"
    tensors = ", ".join(f"'{t.name}' {t.size_bytes} bytes" for t in cost.memory.peak_tensors[:3])
    return f"Make the activations at {where} smaller (input resolution, channels): {tensors} set the peak."
