"""What the reports of a comparison show: which rows, in which words. Table, Markdown and JUnit share it.

Rules:
    * Shown are the headline configuration and the whole run; other configurations are counted, unless asked
      for or gated.
    * Every finding is one of a few words; a reason stands below, numbered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING

from edgepack.toolchain.report.view import describe
from edgepack.toolchain.results.change import same_place
from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.matching import describe_run
from edgepack.toolchain.results.value_text import change_text, interval_text, value_text

if TYPE_CHECKING:
    from edgepack.toolchain.results.change import AnyRun, Comparison, Comparisons, MetricChange

DASH = "—"
COLUMNS = ("metric", "base", "new", "change", "95 % interval", "finding", "gate")
_DETAILS = (("latency", "min"), ("latency", "mean"), ("latency", "max"), "model_memory")
_BUILT = ("quality_float", "quality_host")  # measured when the model was built
_LABELS = {
    "quality_float": "quality, float model",
    "quality_host": "quality on the host",
    "quality_device": "quality on the device",
}


@dataclass(frozen=True)
class ChangeRow:
    """A metric as a row.

    Attributes:
        change: The metric.
        cells: One text a column of `COLUMNS`.
        note: What stands below, by number; None where there is nothing to say.
    """

    change: MetricChange
    cells: tuple[str, ...]
    note: str | None


def change_rows(comparison: Comparison, *, everything: bool = False) -> list[ChangeRow]:
    """Return the rows of a comparison.

    Args:
        comparison: The comparison.
        everything: Every configuration and aggregation, not only what is usually asked for.
    """
    shown = [change for change in comparison.changes if everything or _is_shown(comparison, change)]
    return [_row(comparison, change) for change in shown]


def heading(comparison: Comparison) -> str:
    """Return what was compared, in words."""
    base, new = describe_run(comparison.base), describe_run(comparison.new)
    return new if base == new else f"{base} → {new}"


def run_text(run: AnyRun) -> str:
    """Return which run it was: its id, tag and time."""
    if isinstance(run, ForeignRun):
        return f"{run.run_id} ({run.tool})"
    tag = f" ({run.tag})" if run.tag else ""
    return f"{run.run_id}{tag}, {run.time.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def headline_text(comparison: Comparison) -> str:
    """Return the configuration that the rows mean where they name none."""
    return f"latency at {describe(comparison.headline)}" if comparison.headline else "no configuration ran"


def others_text(comparison: Comparison) -> str | None:
    """Return how the median fared at the other configurations; None where there are none."""
    others = Counter(
        change.finding
        for change in comparison.changes
        if change.key == "latency_p50" and not same_place(change.configuration, comparison.headline)
    )
    if not others:
        return None
    found = ", ".join(f"{finding} at {count}" for finding, count in others.most_common())
    plural = "" if others.total() == 1 else "s"
    return f"p50 at {others.total()} other configuration{plural}: {found} (--all shows them)"


def tests_text(rows: list[ChangeRow]) -> str | None:
    """Return which tests were made, with their p-values; None where none was."""
    tested: dict[str, list[float]] = {}
    for row in rows:
        if row.change.test is not None and row.change.p_value is not None:
            tested.setdefault(row.change.test, []).append(row.change.p_value)
    parts = []
    for test, values in tested.items():
        ends = dict.fromkeys(_p_text(value) for value in (min(values), max(values)))
        parts.append(f"{test} (p = {' to '.join(ends)})")
    return "; ".join(parts) or None


def verdict_text(result: Comparisons) -> str:
    """Return how it ended, in a sentence."""
    count = sum(len(comparison.gates) for comparison in result.comparisons)
    if not result.gates:
        return "No gate was set: nothing can fail."
    bad = [gate.status for comparison in result.comparisons for _, gate in comparison.gates]
    failed, errors = bad.count("failed"), bad.count("error") + len(result.only_base)
    if not failed and not errors:
        unsure = f", {result.undecided} of them undecided (see the notes)" if result.undecided else ""
        return f"Passed: {count} gate{'' if count == 1 else 's'} kept{unsure}."
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{errors} could not be judged"] if errors else []
    return f"Failed: of {count} gate{'' if count == 1 else 's'}, {' and '.join(parts)}."


def metric_label(change: MetricChange) -> str:
    """Return a metric in words: "latency p90", "quality on the device (top1)"."""
    if change.name == "latency":
        return f"latency {change.aggregation}"
    if change.name in _LABELS:
        return (
            f"{_LABELS[change.name]} ({change.aggregation})" if change.aggregation else _LABELS[change.name]
        )
    return change.name.replace("_", " ")


def finding_text(change: MetricChange) -> str:
    """Return the finding with its p-value, where a test was made."""
    if change.p_value is None or change.finding == "unchanged":
        return change.finding
    return f"{change.finding}, p = {_p_text(change.p_value)}"


def gate_text(change: MetricChange) -> str:
    """Return how the gates on a metric ended, worst first."""
    order = ("error", "failed", "passed")
    words = {"error": "NOT JUDGED", "failed": "FAILED", "passed": "passed"}
    results = sorted(change.gates, key=lambda result: order.index(result.status))
    return "; ".join(
        f"{'undecided' if result.undecided else words[result.status]} {_limit(result.gate.text)}"
        for result in results
    )


def _p_text(p_value: float) -> str:
    return "under 0.001" if p_value < 0.001 else f"{p_value:.2g}"


def _limit(text: str) -> str:
    bound, _, rest = text.partition(" ")
    return f"{bound.removeprefix('--')} {rest.partition('=')[2]}"


def _is_shown(comparison: Comparison, change: MetricChange) -> bool:
    if change.gates:
        return True
    if change.base is None and change.new is None:
        return False
    if change.configuration is not None and not same_place(change.configuration, comparison.headline):
        return False
    if change.name in _BUILT and change.finding == "unchanged":
        return False
    return (change.name, change.aggregation) not in _DETAILS and change.name not in _DETAILS


def _row(comparison: Comparison, change: MetricChange) -> ChangeRow:
    label = metric_label(change)
    if change.configuration and not same_place(change.configuration, comparison.headline):
        label += f" ({describe(change.configuration)})"
    by = interval = DASH
    if change.change is not None:
        by = change_text(change.change, is_points=change.is_points)
    if change.low is not None and change.high is not None:
        interval = interval_text(change.low, change.high, is_points=change.is_points)
    figures = [value_text(v, change.unit) if v is not None else DASH for v in (change.base, change.new)]
    cells = (label, *figures, by, interval, change.finding, gate_text(change))
    unsure = next((result.message for result in change.gates if result.undecided), None)
    return ChangeRow(change, cells, unsure or change.reason)
