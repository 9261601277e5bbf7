"""What a model needs, as a person reads it in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes, format_count, format_energy_uj

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph
    from edgepack.toolchain.analyze.cost import ModelCost, OperatorCost
    from edgepack.toolchain.analyze.energy_estimate import EnergyEstimate, EnergyRange
    from edgepack.toolchain.analyze.fit import Fit, MemoryFit

_UNKNOWN = "—"


def operator_table(cost: ModelCost) -> Table:
    """Return one row an operator: shapes, MACs, weights, traffic and arithmetic intensity."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, right in (
        ("#", True),
        ("operator", False),
        ("output", False),
        ("shape", False),
        ("MACs", True),
        ("share", True),
        ("parameters", True),
        ("weights", True),
        ("read", True),
        ("written", True),
        ("MACs/byte", True),
    ):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in cost.operators:
        share = f"{row.macs / cost.macs:.1%}" if row.macs and cost.macs else ""
        table.add_row(
            str(row.index),
            Text(row.op, style="cyan"),
            Text(row.name[-40:], style="dim"),
            " ".join("x".join(map(str, shape)) for shape in row.output_shapes),
            _UNKNOWN if row.macs is None else format_count(row.macs),
            share,
            format_count(row.parameters) if row.parameters else "",
            format_bytes(row.weight_bytes) if row.weight_bytes else "",
            format_bytes(row.read_bytes),
            format_bytes(row.written_bytes),
            _intensity(row.arithmetic_intensity),
        )
    return table


def model_card(graph: Graph, cost: ModelCost, precision: str) -> Table:
    """Return the totals of a model."""
    card = Table(box=None, pad_edge=False, show_header=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    for kind, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            card.add_row(kind, f"{tensor.name} {tensor.dtype}[{', '.join(map(str, tensor.shape))}]")
    card.add_row("precision", precision)
    card.add_row("file", format_bytes(cost.file_bytes))
    card.add_row("parameters", f"{format_count(cost.parameters)} in {format_bytes(cost.weight_bytes)}")
    card.add_row("MACs", format_count(cost.macs))
    card.add_row("bytes moved", f"{format_bytes(cost.read_bytes + cost.written_bytes)} an inference")
    card.add_row("intensity", f"{_intensity(cost.arithmetic_intensity)} MACs/byte")
    card.add_row("peak activations", _peak(cost))
    for line in cost.uncounted:
        card.add_row("not counted", line)
    return card


def energy_card(energy: EnergyEstimate) -> Table:
    """Return the estimated energy of an inference; every line says that it is an estimate, or on what."""
    card = Table(box=None, pad_edge=False, show_header=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    card.add_row("energy, estimate", Text(_range(energy.total), style="yellow"))
    card.add_row("  of arithmetic", f"{_range(energy.arithmetic)} (estimate)")
    card.add_row(
        "  of memory", f"{_range(energy.memory)} (estimate: all bytes from a cache, or all from DRAM)"
    )
    card.add_row("", Text(f"figures: {energy.basis}", style="dim"))
    card.add_row("", Text(f"does not contain {energy.left_out}", style="dim"))
    return card


def fit_card(fit: Fit) -> Table:
    """Return whether a target can hold and run the model."""
    card = Table(box=None, pad_edge=False, show_header=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    verdicts = {True: ("yes", "green"), False: ("no", "bold red"), None: ("unknown", "yellow")}
    word, style = verdicts[fit.runs]
    card.add_row(f"runs on {fit.target}", Text(word, style=style))
    for operator in fit.unsupported:
        where = f" at {', '.join(map(str, operator.indices))}" if operator.indices else ""
        card.add_row("unsupported", f"{operator.op}{where}")
    for memory in fit.memory:
        card.add_row(memory.kind, _memory(memory))
        card.add_row("", Text(f"does not contain {memory.left_out}", style="dim"))
    for line in fit.advice:
        card.add_row("advice", line)
    return card


def _peak(cost: ModelCost) -> str:
    operator: OperatorCost | None = cost.peak_operator
    where = f" at operator {operator.index} {operator.op}" if operator else ""
    return f"{format_bytes(cost.peak_activation_bytes)}{where}"


def _memory(memory: MemoryFit) -> str:
    needed = f"{format_bytes(memory.needed_bytes)} needed"
    if memory.available_bytes is None:
        return f"{needed}; {memory.unknown_reason}"
    room = f"{needed}, {memory.region} has {format_bytes(memory.available_bytes)}"
    return f"{room}: {format_bytes(memory.short_bytes)} short" if memory.short_bytes else room


def _range(energy: EnergyRange) -> str:
    low, high = (format_energy_uj(1e6 * joules) for joules in (energy.low_j, energy.high_j))
    return f"about {low}" if low == high else f"{low} to {high}"


def _intensity(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.2f}"
