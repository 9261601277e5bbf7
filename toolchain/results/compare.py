"""Two runs in, what became of each metric out: change, interval, test, finding, gates.

Rules:
    * Compared are metrics that say which way is better; the rest of a record describes the run.
    * Each metric gets the test that suits it: windows against windows for latency, throughput and energy
      (`significance.py`), shares for quality, none for what has no noise or was read once.
    * A change inside the noise is said to be inside the noise, one beyond it but under 1 % to be negligible.
    * BASE and NEW are compared configuration by configuration, never at the best of each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgepack.targets.errors import nearest
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.results.change import Comparison, MetricChange, same_place
from edgepack.toolchain.results.comparability import doubts
from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.gates import GateResult, judge
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.metric_test import difference
from edgepack.toolchain.results.schema import Metric, UnavailableMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.change import AnyRun, Direction, Finding
    from edgepack.toolchain.results.gates import Gate
    from edgepack.toolchain.results.significance import Difference

__all__ = ["MIN_EFFECT", "Comparison", "MetricChange", "compare"]

MIN_EFFECT = 0.01
"""A relative change under this is negligible, however sure it is."""

_LOWER: tuple[str, ...] = (
    "latency", "load_time", "first_inference", "model_size", "peak_memory", "model_memory",
    "energy_per_inference", "energy_over_idle_per_inference", "energy_delay_product", "average_power",
    "peak_power",
)  # fmt: skip
_HIGHER: tuple[str, ...] = (
    "throughput",
    "inferences_per_joule",
    "quality_float",
    "quality_host",
    "quality_device",
)
_LOWER_QUALITY = ("mse",)
_KNOWN_QUALITY = ("agreement", "auc", "fidelity", "top1", *_LOWER_QUALITY)
_LATENCIES = ("min", "mean", "p50", "p90", "p99", "max")
KEYS = (*(f"latency_{how}" for how in _LATENCIES), *_LOWER[1:], *_HIGHER)
"""The metrics that a gate can name."""


@dataclass(frozen=True)
class _Key:
    name: str
    aggregation: str | None
    configuration: Configuration | None


def compare(
    base: AnyRun, new: AnyRun, gates: Sequence[Gate] = (), *, min_effect: float = MIN_EFFECT
) -> Comparison:
    """Compare two runs metric by metric, and judge the gates.

    Args:
        base: The run that is compared with.
        new: The run that is judged.
        gates: Limits, from `parse_gate`.
        min_effect: A relative change under this is negligible.

    Raises:
        ProjectError: A gate names no metric, or its limit does not fit the metric.
    """
    headline = _headline(base) or _headline(new)
    changes = [_change(base, new, key, headline, min_effect) for key in _keys(base, new)]
    for gate in gates:
        changes = _with_gate(changes, gate, headline)
    return Comparison(base, new, headline, tuple(changes), doubts(base, new))


def _headline(run: AnyRun) -> Configuration | None:
    """Return the smallest batch that ran, there the configuration with the lowest median."""
    medians = [
        (
            metric.configuration.batch,
            metric.value,
            metric.configuration.threads,
            metric.configuration.delegate,
        )
        for metric in run.metrics
        if isinstance(metric, Metric) and metric.configuration
        if (metric.name, metric.aggregation) == ("latency", "p50")
    ]
    if not medians:
        return None
    batch, _, threads, delegate = min(medians)
    return Configuration(batch=batch, threads=threads, delegate=delegate)


def _keys(base: AnyRun, new: AnyRun) -> list[_Key]:
    """Return what both together say about, in the order of the records.

    Another tool's figures belong to no configuration of ours: then they alone say what is compared.
    """
    foreign = next((run for run in (base, new) if isinstance(run, ForeignRun)), None)
    keys: dict[tuple[object, ...], _Key] = {}
    for run in (foreign,) if foreign else (base, new):
        for metric in run.metrics:
            if metric.name not in _LOWER and metric.name not in _HIGHER:
                continue
            if metric.name == "latency" and metric.aggregation in ("std", "p95"):
                continue
            for key in _expanded(metric):
                place = key.configuration
                where = (place.batch, place.threads, place.delegate) if place else None
                # The quality's metric may have changed; then the figures are set side by side, not compared.
                aggregation = key.aggregation if key.name == "latency" else None
                keys.setdefault((key.name, aggregation, where), key)
    placed = {key.name for key in keys.values() if key.configuration}
    return [key for key in keys.values() if key.configuration or key.name not in placed]


def _expanded(metric: Metric | UnavailableMetric) -> list[_Key]:
    """Return the keys of a metric: a latency that is missing as a whole is missing in each aggregation."""
    if metric.name == "latency" and metric.aggregation is None:
        return [_Key("latency", how, metric.configuration) for how in _LATENCIES]
    return [_Key(metric.name, metric.aggregation, metric.configuration)]


def _find(run: AnyRun, key: _Key, headline: Configuration | None) -> Metric | UnavailableMetric | None:
    place = None if isinstance(run, ForeignRun) else key.configuration or _foreign_place(key, headline)
    for metric in run.metrics:
        # What is missing as a whole is missing at every configuration and in every aggregation.
        same_how = key.name != "latency" or metric.aggregation in (None, key.aggregation)
        missing = isinstance(metric, UnavailableMetric) and metric.configuration is None
        if metric.name == key.name and same_how and (missing or same_place(metric.configuration, place)):
            return metric
    return None


def _foreign_place(key: _Key, headline: Configuration | None) -> Configuration | None:
    """Return where our own record holds what another tool measured for no configuration."""
    return headline if key.name in ("latency", "load_time", "first_inference") else None


def _change(
    base: AnyRun, new: AnyRun, key: _Key, headline: Configuration | None, min_effect: float
) -> MetricChange:
    before, after = _find(base, key, headline), _find(new, key, headline)
    known = next((metric for metric in (before, after) if isinstance(metric, Metric)), before or after)
    assert known is not None
    place = key.configuration or _foreign_place(key, headline)
    empty = MetricChange(
        name=key.name,
        aggregation=known.aggregation or key.aggregation,
        configuration=place,
        unit=known.unit,
        base=before.value if isinstance(before, Metric) else None,
        new=after.value if isinstance(after, Metric) else None,
        better=_better(key.name, known.aggregation),
        is_points=known.unit == "ratio",
        exact=key.name == "model_size" or key.name.startswith("quality_"),
        new_low=after.low if isinstance(after, Metric) else None,
        new_high=after.high if isinstance(after, Metric) else None,
    )
    if not isinstance(before, Metric) or not isinstance(after, Metric):
        return replace(empty, reason=_missing(before, after))
    if (before.unit, before.aggregation) != (after.unit, after.aggregation):
        reason = (
            f"BASE is {before.aggregation} in '{before.unit}', NEW is {after.aggregation} in '{after.unit}'"
        )
        return replace(empty, new=None, base=None, reason=reason)
    if not empty.is_points and before.value == 0 != after.value:
        return replace(empty, reason="BASE is 0: no relative change")
    change = after.value - before.value
    if not empty.is_points:
        change = change / before.value if before.value else 0.0
    tested = difference(base, new, before, after, place)
    return _with_test(replace(empty, change=change), tested, min_effect)


def _with_test(change: MetricChange, tested: Difference | str, min_effect: float) -> MetricChange:
    """Add what the test says, and the finding."""
    if isinstance(tested, str):
        finding, reason = _untested_finding(change, tested)
        return replace(change, finding=finding, reason=reason)
    by = change.change or 0.0
    # The reported window is the middle one by its median: its p90 may lie beside those of the others.
    low, high = min(tested.low, by), max(tested.high, by)
    change = replace(change, low=low, high=high, p_value=tested.p_value, test=tested.test)
    finding, reason = _tested_finding(change, min_effect)
    return replace(change, finding=finding, reason=reason)


def _untested_finding(change: MetricChange, why: str) -> tuple[Finding, str | None]:
    if change.exact and change.base == change.new:
        return "unchanged", None
    if change.exact and change.better:
        return _way(change), None
    return "untested", why


def _tested_finding(change: MetricChange, min_effect: float) -> tuple[Finding, str | None]:
    by = change.change or 0.0
    if change.exact and by == 0:
        return "unchanged", None
    if not change.significant:
        return "inside the noise", None
    if not change.is_points and abs(by) < min_effect:
        return "negligible", f"beyond the noise, but under {min_effect:.0%}"
    if change.better is None:
        return "untested", "which way is better is not known of this metric"
    return _way(change), None


def _way(change: MetricChange) -> Finding:
    return "better" if ((change.change or 0.0) < 0) == (change.better == "lower") else "worse"


def _better(name: str, aggregation: str | None) -> Direction | None:
    if name in _LOWER:
        return "lower"
    if not name.startswith("quality_"):
        return "higher"
    if aggregation in _LOWER_QUALITY:
        return "lower"
    return "higher" if aggregation in _KNOWN_QUALITY else None  # a metric of the user's own


def _missing(before: Metric | UnavailableMetric | None, after: Metric | UnavailableMetric | None) -> str:
    sides = (("BASE", before), ("NEW", after))
    reasons = {side: _absence(metric) for side, metric in sides if not isinstance(metric, Metric)}
    if len(reasons) == 2 and reasons["BASE"] == reasons["NEW"]:
        return f"neither run has a figure: {reasons['BASE']}"
    return "; ".join(f"{side} has no figure: {reason}" for side, reason in reasons.items())


def _absence(metric: UnavailableMetric | None) -> str:
    return metric.reason if metric else "its record does not hold it"


def _with_gate(changes: list[MetricChange], gate: Gate, headline: Configuration | None) -> list[MetricChange]:
    """Judge a gate on every change that it stands on; where there is none, on one that says so."""
    if gate.metric not in KEYS:
        message = f"'{gate.text}': there is no metric '{gate.metric}'.{nearest(gate.metric, KEYS)}"
        raise ProjectError(message, remedy=f"Use one of {', '.join(KEYS)}.")
    meant = [change for change in changes if change.key == gate.metric and _stands_on(gate, change, headline)]
    if not meant:
        absent = MetricChange(
            name=gate.metric, aggregation=None, configuration=None, unit="", base=None, new=None,
            reason="neither run holds it" + (" at this configuration" if gate.place else ""),
        )  # fmt: skip
        result = GateResult(gate, "error", f"not judged: {absent.reason}")
        return [*changes, replace(absent, gates=(result,))]
    return [
        replace(change, gates=(*change.gates, judge(gate, change))) if change in meant else change
        for change in changes
    ]


def _stands_on(gate: Gate, change: MetricChange, headline: Configuration | None) -> bool:
    if gate.place is not None:
        return gate.place.matches(change.configuration)
    return change.configuration is None or same_place(change.configuration, headline)
