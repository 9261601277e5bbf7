"""Where a model and its operators stand under the roof of a device: what limits them, how far off they are.

Rules:
    * Work is counted from the model (`cost.py`): MACs, and bytes moved = weights and activations read, and
      activations written, each once, for one inference. Time is measured (`kernels.py`).
    * The roof over an operator is min(peak rate of its type, bandwidth of its working set * intensity). Its
      working set is the bytes that it moves: a small operator lives in a cache, and has that bandwidth.
    * An operator without MACs has no MAC rate; its share of the roof is its bandwidth's. One whose time is
      within its error has no rates at all. What is not known is None.
    * A share above 1 is possible: data that the operator before has left in a cache, or a roof that was
      measured while the device was slower. It is shown as it is.

Source: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009), 65-76.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from edgepack.toolchain.analyze.computing_dtype import computing_dtype
from edgepack.toolchain.analyze.cost import analyze
from edgepack.toolchain.analyze.kernels import attribute
from edgepack.toolchain.analyze.roof import roof_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.analyze.cost import ModelCost, OperatorCost
    from edgepack.toolchain.analyze.kernels import OperatorTiming, TimedPiece
    from edgepack.toolchain.analyze.roof import MeasuredRoof, Roof

Bound = Literal["compute", "memory"]


class MeasuredProfile(Protocol):
    """A measured profile."""

    @property
    def threads(self) -> int:
        """Number of threads."""

    @property
    def total_ns(self) -> float:
        """Sum of the operators."""

    @property
    def plain_ns(self) -> float | None:
        """Latency without profiling."""

    @property
    def operators(self) -> Sequence[TimedPiece]:
        """What was timed."""


@dataclass(frozen=True)
class Point:
    """An operator, or the whole model, under the roof.

    Attributes:
        index: The operator's index in the main subgraph; None for the model.
        op: Its kind, such as "CONV_2D"; "model" for the model.
        name: Name of its first output tensor.
        kernels: What the runtime made of it.
        dtype: Type whose peak counts, "int8" or "float32"; None for another one.
        time_ns: Time of one execution; None where it has none of its own (fused or removed).
        error_ns: How far off that may be; None where unknown.
        share: Of the sum of all operators' times; None where there is no time.
        macs: Multiply-accumulates; None where unknown.
        moved_bytes: Bytes read and written.
        working_set_bytes: What decides the bandwidth.
        macs_per_s: Achieved rate; None without MACs or where the time is within its error.
        attainable_macs_per_s: The roof; None without MACs or where the roof is not known.
        bound: What the roof consists of here; None where unknown.
        roof_share: Achieved over attainable; None where either is.
    """

    index: int | None
    op: str
    name: str
    kernels: tuple[str, ...]
    dtype: str | None
    time_ns: float | None
    error_ns: float | None
    share: float | None
    macs: int | None
    moved_bytes: int
    working_set_bytes: int
    macs_per_s: float | None
    attainable_macs_per_s: float | None
    bound: Bound | None
    roof_share: float | None

    @property
    def intensity(self) -> float | None:
        """MACs per byte moved; None where it has none."""
        return self.macs / self.moved_bytes if self.macs and self.moved_bytes else None


@dataclass(frozen=True)
class ProfileAnalysis:
    """A profile, by operator of the model and under the device's roof.

    Attributes:
        threads: Number of threads.
        operators: One point an operator, in execution order.
        model: The whole model, by its plain latency.
        roof: The device's roof; None where it was not measured.
        apart: Kernels that belong to no operator.
        apart_ns: Their time.
    """

    threads: int
    operators: tuple[Point, ...]
    model: Point
    roof: Roof | None
    apart: tuple[str, ...]
    apart_ns: float


def analyze_profile(graph: Graph, profile: MeasuredProfile, measured: MeasuredRoof | None) -> ProfileAnalysis:
    """Return the profile of a model by operator, and under the roof.

    Args:
        graph: The model that was profiled.
        profile: Its profile.
        measured: The device's roof; None where it was not measured.
    """
    cost = analyze(graph)
    found = attribute(graph, profile.operators)
    roof = roof_of(measured, profile.threads) if measured is not None else None
    total_ns = sum(timing.time_ns or 0.0 for timing in found.operators) + found.apart_ns
    points = tuple(
        _operator(row, computing_dtype(graph, operator), timing, total_ns, roof)
        for row, operator, timing in zip(cost.operators, graph.operators, found.operators, strict=True)
    )
    model = _model(cost, points, profile.plain_ns or profile.total_ns, roof)
    return ProfileAnalysis(profile.threads, points, model, roof, found.apart, found.apart_ns)


def top_operators(analysis: ProfileAnalysis, count: int = 10) -> tuple[Point, ...]:
    """Return the operators that take most of the time, the first of them the most."""
    timed = [point for point in analysis.operators if point.time_ns is not None]
    return tuple(sorted(timed, key=lambda point: -(point.time_ns or 0.0))[:count])


def _operator(
    row: OperatorCost, dtype: str | None, timing: OperatorTiming, total_ns: float, roof: Roof | None
) -> Point:
    moved = row.read_bytes + row.written_bytes
    share = timing.time_ns / total_ns if timing.time_ns is not None and total_ns > 0 else None
    about = (row.index, row.op, row.name, timing.kernels)
    return _point(about, dtype, (timing.time_ns, timing.error_ns, share), (row.macs, moved, moved), roof)


def _model(cost: ModelCost, points: tuple[Point, ...], time_ns: float, roof: Roof | None) -> Point:
    """Return the whole model: its working set is all weights and the most activations that live at once."""
    macs: dict[str | None, int] = {}
    for point in points:
        macs[point.dtype] = macs.get(point.dtype, 0) + (point.macs or 0)
    dtype = max(macs, key=lambda name: macs[name], default=None)
    working_set = cost.weight_bytes + cost.peak_activation_bytes
    moved = cost.read_bytes + cost.written_bytes
    about = (None, "model", "", ())
    return _point(about, dtype, (time_ns, None, 1.0), (cost.macs, moved, working_set), roof)


def _point(
    about: tuple[int | None, str, str, tuple[str, ...]],
    dtype: str | None,
    times: tuple[float | None, float | None, float | None],
    work: tuple[int | None, int, int],
    roof: Roof | None,
) -> Point:
    """Return a point.

    Args:
        about: Index, kind, name, kernels.
        dtype: Type whose peak counts.
        times: Time and error in ns, share of all.
        work: MACs, bytes moved, working set in bytes.
        roof: The device's roof.
    """
    index, op, name, kernels = about
    time_ns, error_ns, share = times
    macs, moved, working_set = work
    seconds = time_ns / 1e9 if time_ns is not None and time_ns > (error_ns or 0.0) else None
    rate = macs / seconds if macs and seconds else None
    attainable: float | None = None
    bound: Bound | None = None
    roof_share: float | None = None
    if roof is not None and macs == 0 and moved:
        bound = "memory"
        roof_share = moved / seconds / roof.bandwidth(working_set) if seconds else None
    elif roof is not None and macs and moved and dtype in roof.peaks:
        attainable = roof.attainable(dtype, macs / moved, working_set)
        bound = "compute" if attainable == roof.peaks[dtype] else "memory"
        roof_share = rate / attainable if rate and attainable else None
    return Point(
        index=index,
        op=op,
        name=name,
        kernels=kernels,
        dtype=dtype,
        time_ns=time_ns,
        error_ns=error_ns,
        share=share,
        macs=macs,
        moved_bytes=moved,
        working_set_bytes=working_set,
        macs_per_s=rate,
        attainable_macs_per_s=attainable,
        bound=bound,
        roof_share=roof_share,
    )
