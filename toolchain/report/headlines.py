"""What a reader should see first: the best figures, and what each precision costs against float32.

Rules:
    * Beside a latency or throughput stands whether it is stable; a sentence about unstable runs says so.
    * Only measured figures take part, and figures of emulated devices only where there are no others.
    * "Faster" is said only where nine of ten inferences of the one beat the median of the other; a difference
      of medians alone may be the noise of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.targets.units import format_bytes, format_duration_ns
from edgepack.toolchain.report.cells import quality_text
from edgepack.toolchain.report.samples import verdict_of
from edgepack.toolchain.report.trust import why_unstable
from edgepack.toolchain.report.view import best_throughput, describe
from edgepack.toolchain.results.from_job import RATIO_METRICS
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.view import ModelGroup, RunRow
    from edgepack.toolchain.results.job_record import Configuration

_LOWER_IS_BETTER = ("mse",)


@dataclass(frozen=True)
class Card:
    """One headline figure."""

    label: str
    value: str
    note: str


def cards(group: ModelGroup) -> list[Card]:
    """Return the best latency, throughput, size and quality of a model."""
    rows = _real(group.rows)
    found: list[Card] = []
    if fastest := _fastest(rows):
        found.append(
            Card(
                "Lowest median latency",
                format_duration_ns(_p50(fastest)),
                _where(fastest, fastest.configuration),
            )
        )
    measured = [(best, row) for row in rows if (best := _throughput(row))]
    if measured:
        best, row = max(measured, key=lambda pair: pair[0].value)
        found.append(
            Card("Highest throughput", best_throughput(row.record).text, _where(row, best.configuration))
        )
    sizes = [(build.model_bytes, build.precision) for build in group.builds]
    sizes += [(row.record.model.size_bytes, row.record.model.precision) for row in rows]
    if sizes:
        size_bytes, precision = min(sizes)
        found.append(Card("Smallest model", format_bytes(size_bytes), precision))
    if quality := _best_quality(group, rows):
        found.append(quality)
    return found


def verdicts(group: ModelGroup) -> list[str]:
    """Return one sentence a device: the fastest precision against float32.

    Emulated devices get none: under emulation even the order of two models can turn round.
    """
    sentences = []
    for device in group.devices:
        rows = [row for row in group.rows if row.record.device.name == device and row.configuration]
        base = next((row for row in rows if row.record.model.precision == "float32"), None)
        fastest = _fastest(rows)
        if base is None or fastest is None or len(rows) < 2 or base.record.emulated:
            continue
        sentences.append(f"On {device}, {_comparison(base, fastest)}.{_caution((base, fastest))}")
    return sentences


def _comparison(base: RunRow, fastest: RunRow) -> str:
    if fastest is base:
        return "no other precision is faster than float32"
    if _p90(fastest) >= _p50(base):
        return (
            "no precision is clearly faster than float32: the differences are within the spread of the runs"
        )
    speed = _p50(base) / _p50(fastest) if _p50(fastest) else 0.0
    size = base.record.model.size_bytes / max(1, fastest.record.model.size_bytes)
    change = (
        f"{size:.1f} times smaller"
        if size >= 1.05
        else f"{1 / size:.1f} times larger"
        if size <= 0.95
        else "as large"
    )
    text = f"{fastest.record.model.precision} is {speed:.1f} times faster than float32 and {change}"
    before, after = (row.record.find("quality_device") for row in (base, fastest))
    if not (isinstance(before, Metric) and isinstance(after, Metric)):
        return text
    return f"{text}; {_quality_change(before, after)}"


def _quality_change(before: Metric, after: Metric) -> str:
    name, is_ratio = after.aggregation, after.unit == "ratio"
    now, then = (quality_text(metric.value, is_ratio=is_ratio) for metric in (after, before))
    if now == then:
        return f"{name} stays at {now}"
    if not is_ratio:
        return f"{name} goes from {then} to {now}"
    way = "rises" if after.value > before.value else "falls"
    return f"{name} {way} by {abs(after.value - before.value) * 100:.2f} points to {now}"


def _real(rows: Sequence[RunRow]) -> list[RunRow]:
    return [row for row in rows if not row.record.emulated] or list(rows)


def _p50(row: RunRow) -> float:
    return row.record.value("latency", "p50", row.configuration) or 0.0


def _p90(row: RunRow) -> float:
    return row.record.value("latency", "p90", row.configuration) or float("inf")


def _fastest(rows: Sequence[RunRow]) -> RunRow | None:
    ran = [row for row in rows if row.configuration]
    return min(ran, key=_p50) if ran else None


def _throughput(row: RunRow) -> Metric | None:
    measured = [m for m in row.record.metrics if isinstance(m, Metric) and m.name == "throughput"]
    return max(measured, key=lambda metric: metric.value, default=None)


def _where(row: RunRow, place: Configuration | None) -> str:
    """Return which run and configuration a figure is of, and whether it can be believed."""
    if place is None:
        return row.label
    verdict = verdict_of(row.record, place)
    return f"{row.label}, {describe(place)}{f': {verdict.status}' if verdict else ''}"


def _caution(rows: Sequence[RunRow]) -> str:
    """Return a sentence that names the runs whose latency is unstable; empty where none is."""
    doubtful = dict.fromkeys(
        row.record.model.precision for row in rows if why_unstable(row.record, row.configuration)
    )
    if not doubtful:
        return ""
    names = " and ".join(doubtful)
    what = f"The latency of {names} is" if len(doubtful) == 1 else f"The latencies of {names} are"
    return f" {what} unstable: do not rely on this."


def _best_quality(group: ModelGroup, rows: Sequence[RunRow]) -> Card | None:
    if group.metric is None or (group.metric not in RATIO_METRICS and group.metric not in _LOWER_IS_BETTER):
        return None  # a metric of the user's own: which way is better is not known here
    found = [
        (metric.value, f"{row.label}, on the device")
        for row in rows
        if isinstance(metric := row.record.find("quality_device"), Metric)
    ]
    found = found or [
        (build.deployed_value, f"{build.precision}, on the host")
        for build in group.builds
        if build.deployed_value is not None
    ]
    if not found:
        return None
    pick = min if group.metric in _LOWER_IS_BETTER else max
    value, where = pick(found, key=lambda pair: pair[0])
    return Card(f"Best {group.metric}", quality_text(value, is_ratio=group.metric in RATIO_METRICS), where)
