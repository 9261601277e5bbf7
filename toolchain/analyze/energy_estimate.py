"""What the arithmetic and the memory traffic of an inference cost in energy, estimated from counts.

An estimate, and a rough one: a range, from figures for one process node, of the chip's work alone. It
compares models with each other. It replaces no power sensor, and never stands in a measured column.

Rules:
    * A MAC is a multiplication of its type and an addition into the accumulator (int32, or float32).
    * Every byte that operators read and write (`cost.py`) costs at least an access to an 8 KiB cache, at most
      one to DRAM: where data really lies depends on the device.
    * What is not counted is said: instructions, control, leakage, and everything on the board but the chip.

Source: Horowitz, "Computing's Energy Problem (and what we can do about it)", ISSCC 2014, pages 10-14, figure
1.1.9: energy in 45 nm at 0.9 V. Add: int32 0.1 pJ, float16 0.4, float32 0.9. Multiply: int8 0.2 pJ, float16
1.1, float32 3.7. 64-bit access: 8 KiB cache 10 pJ, DRAM 1.3 to 2.6 nJ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.analyze.computing_dtype import computing_dtype

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph
    from edgepack.toolchain.analyze.cost import ModelCost

BASIS = "Horowitz, ISSCC 2014: 45 nm, 0.9 V; the process node of a real device is another, often unknown"
LEFT_OUT = (
    "instruction fetch and control (in a processor often more than the arithmetic), leakage, idle power, "
    "power conversion, and everything on the board but the chip"
)
_PICO = 1e-12
# Joules of a MAC, lowest and highest. There is no figure for int16: between int8 and int32.
_MAC_J = {
    "int8": (0.3 * _PICO, 0.3 * _PICO),
    "float16": (1.5 * _PICO, 1.5 * _PICO),
    "float32": (4.6 * _PICO, 4.6 * _PICO),
    None: (0.3 * _PICO, 4.6 * _PICO),
}
# Joules of a byte: 8 bytes from an 8 KiB cache; 8 bytes from DRAM at the upper end.
_BYTE_J = (10 / 8 * _PICO, 2600 / 8 * _PICO)


@dataclass(frozen=True)
class EnergyRange:
    """An estimate.

    Attributes:
        low_j: Joules at least, as far as the counted work goes.
        high_j: Joules at most, likewise.
    """

    low_j: float
    high_j: float

    def __add__(self, other: EnergyRange) -> EnergyRange:
        return EnergyRange(self.low_j + other.low_j, self.high_j + other.high_j)


@dataclass(frozen=True)
class EnergyEstimate:
    """The estimated energy of one inference.

    Attributes:
        kind: Always "estimate".
        arithmetic: Of the MACs.
        memory: Of the bytes moved.
        total: Of both.
        basis: Where the figures per operation come from, and for which chips they hold.
        left_out: What the estimate does not contain.
    """

    arithmetic: EnergyRange
    memory: EnergyRange
    total: EnergyRange
    kind: str = "estimate"
    basis: str = BASIS
    left_out: str = LEFT_OUT


def estimate_energy(graph: Graph, cost: ModelCost) -> EnergyEstimate:
    """Return the estimated energy of one inference.

    Args:
        graph: The model.
        cost: What `cost.analyze` has counted in it; work that could not be counted is missing here too.
    """
    arithmetic = EnergyRange(0.0, 0.0)
    for row, operator in zip(cost.operators, graph.operators, strict=True):
        low, high = _MAC_J[computing_dtype(graph, operator)]
        arithmetic += EnergyRange(low * (row.macs or 0), high * (row.macs or 0))
    moved = cost.read_bytes + cost.written_bytes
    memory = EnergyRange(_BYTE_J[0] * moved, _BYTE_J[1] * moved)
    return EnergyEstimate(arithmetic, memory, arithmetic + memory)
