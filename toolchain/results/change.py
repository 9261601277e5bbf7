"""What became of each metric between two runs: the values that `compare` makes and reports show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgepack.toolchain.results.significance import ALPHA

if TYPE_CHECKING:
    from typing import TypeAlias

    from edgepack.toolchain.results.foreign import ForeignRun
    from edgepack.toolchain.results.gates import Gate, GateResult
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord

    AnyRun: TypeAlias = RunRecord | ForeignRun

Finding = Literal[
    "better", "worse", "negligible", "inside the noise", "unchanged", "untested", "not comparable"
]
"""What is to be said of a change.

"negligible": beyond the noise, but too small to matter. "unchanged": exactly equal, where there is no noise.
"untested": it moved, and nothing was measured that could tell whether that is more than noise.
"not comparable": one side has no figure.
"""

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class MetricChange:
    """One metric of two runs.

    Attributes:
        name: The metric's name in the record, such as "latency".
        aggregation: Such as "p90"; None where neither side has one.
        configuration: The batch, threads and delegate; None for the whole run.
        unit: The unit of `base` and `new`.
        base: The figure of BASE; None where it has none.
        new: The figure of NEW; None where it has none.
        change: new / base - 1, or new - base for points; None where it cannot be had.
        is_points: Whether `change`, `low` and `high` are differences of a ratio.
        low: Lower end of the 95 % interval of the change; None without a test.
        high: Upper end.
        p_value: How often equals would differ as much; None without a test.
        test: The test, in words; None without one.
        finding: What is to be said.
        reason: Why there is no figure or no test, or what else qualifies the finding.
        better: Which way is better; None where that is not known.
        exact: The figure has no noise of measurement: a size, or the quality on a given evaluation set.
        new_low: Lower end of the 95 % interval of `new` itself; None where there is none.
        new_high: Upper end.
        gates: The gates that stand on it, judged.
    """

    name: str
    aggregation: str | None
    configuration: Configuration | None
    unit: str
    base: float | None
    new: float | None
    change: float | None = None
    is_points: bool = False
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    test: str | None = None
    finding: Finding = "not comparable"
    reason: str | None = None
    better: Direction | None = None
    exact: bool = False
    new_low: float | None = None
    new_high: float | None = None
    gates: tuple[GateResult, ...] = ()

    @property
    def key(self) -> str:
        """The metric as gates name it: "latency_p90", "model_size"."""
        return metric_key(self.name, self.aggregation)

    @property
    def significant(self) -> bool:
        """Whether the change is beyond the noise."""
        if self.p_value is None or self.low is None or self.high is None:
            return False
        return self.p_value <= ALPHA and (self.low > 0 or self.high < 0)

    @property
    def gate(self) -> GateResult | None:
        """The gate to show: the worst of those that stand on it; None where none does."""
        order = ("error", "failed", "passed")
        return min(self.gates, key=lambda result: order.index(result.status), default=None)


@dataclass(frozen=True)
class Comparison:
    """Two runs, metric by metric.

    Attributes:
        base: The run that is compared with.
        new: The run that is judged.
        headline: The configuration that gates and tables mean where none is named; None where none ran.
        changes: Every metric that says which way is better, in the order of the record.
        warnings: What the runs differ in beside the package: device, runtime, governor, …
    """

    base: AnyRun
    new: AnyRun
    headline: Configuration | None
    changes: tuple[MetricChange, ...]
    warnings: tuple[str, ...] = ()

    @property
    def gates(self) -> tuple[tuple[MetricChange, GateResult], ...]:
        """Every judged gate with its metric."""
        return tuple((change, result) for change in self.changes for result in change.gates)

    @property
    def passed(self) -> bool:
        """Whether every gate could be judged and was kept."""
        return all(result.status == "passed" for _, result in self.gates)


@dataclass(frozen=True)
class Comparisons:
    """All that was compared.

    Attributes:
        comparisons: One a pair of runs.
        only_base: Runs that only BASE has; with gates they fail the whole: nobody knows how they are now.
        only_new: Runs that only NEW has.
        gates: The gates that were judged.
    """

    comparisons: tuple[Comparison, ...]
    only_base: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()

    @property
    def undecided(self) -> int:
        """How many gates passed although the figure is beyond the limit, because that may be noise."""
        return sum(result.undecided for each in self.comparisons for _, result in each.gates)

    @property
    def passed(self) -> bool:
        """Whether every gate could be judged and was kept on every run of BASE."""
        complete = not (self.gates and self.only_base)
        return complete and all(comparison.passed for comparison in self.comparisons)


def metric_key(name: str, aggregation: str | None) -> str:
    """Return a metric as gates name it; only latency has several aggregations."""
    return f"{name}_{aggregation}" if name == "latency" and aggregation else name


def same_place(one: Configuration | None, other: Configuration | None) -> bool:
    """Return whether two configurations are the same one, whatever else they carry."""
    if one is None or other is None:
        return one is other
    return (one.batch, one.threads, one.delegate) == (other.batch, other.threads, other.delegate)
