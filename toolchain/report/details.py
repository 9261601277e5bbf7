"""One run in full: its verdict in words, its scenarios, every configuration, and what was done for it.

Rules:
    * A configuration that did not run has a row too, with the reason.
    * Rejected windows are counted beside those that count, with the reason of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.targets.units import format_count, format_duration_ns
from edgepack.toolchain.report.cells import DASH, Cell, metric_cell
from edgepack.toolchain.report.energy import energy_cell
from edgepack.toolchain.report.samples import verdict_of
from edgepack.toolchain.report.trust import verdict_cell, why_unstable
from edgepack.toolchain.report.view import describe
from edgepack.toolchain.results.job_record import ConfigurationSamples
from edgepack.toolchain.results.window_record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.report.view import RunRow
    from edgepack.toolchain.results.job_record import ConfigurationUnavailable
    from edgepack.toolchain.results.schema import RunRecord
    from edgepack.toolchain.results.window_record import Window

CONFIGURATION_COLUMNS = (
    "configuration", "p50", "p90", "verdict", "windows", "throughput", "energy", "CPUs of others",
)  # fmt: skip
_SCENARIOS = (
    ("SingleStream", "single_stream_latency", "90th percentile of latency"),
    ("MultiStream", "multi_stream_latency", "99th percentile of latency"),
    ("Offline", "offline_throughput", "throughput"),
)
_OTHERS_UNKNOWN = "the device does not say what else ran"
QUICK_EXPLAINED = "quick: its windows are shorter than the rules ask for; good for a look, not for quoting"


@dataclass(frozen=True)
class Scenario:
    """A figure named as MLPerf names it.

    Attributes:
        name: "SingleStream", "MultiStream" or "Offline".
        what: Which figure that is.
        cell: The figure.
    """

    name: str
    what: str
    cell: Cell


def scenarios(record: RunRecord) -> list[Scenario]:
    """Return the figures of the MLPerf scenarios that the record holds.

    Source: MLCommons inference rules, "Scenarios".
    """
    found = []
    for name, metric_name, what in _SCENARIOS:
        metric = record.find(metric_name)
        if metric is None:
            continue
        form = format_throughput if "throughput" in metric_name else format_duration_ns
        where = f" at {describe(metric.configuration)}" if metric.configuration else ""
        found.append(Scenario(name, f"{what}{where}", metric_cell(metric, form)))
    return found


def format_throughput(value: float) -> str:
    """Return inferences per second for people: 2150 -> "2.15 k/s"."""
    return f"{format_count(value)}/s"


def configuration_rows(record: RunRecord) -> list[tuple[Cell, ...]]:
    """Return one row a configuration, a cell a column of `CONFIGURATION_COLUMNS`."""
    return [
        _ran(record, found) if isinstance(found, ConfigurationSamples) else _did_not_run(found)
        for found in record.configurations
    ]


def judgements(record: RunRecord) -> list[str]:
    """Return why a configuration is unstable, in sentences; those with the same causes together."""
    found: dict[str, list[str]] = {}
    for place in record.configurations:
        if reason := why_unstable(record, place):
            found.setdefault(reason, []).append(describe(place))
    return [f"{_first_upper('; '.join(places))}: {reason}." for reason, places in found.items()]


def rejections(windows: Iterable[Window]) -> dict[str, int]:
    """Return how many windows were rejected, by reason."""
    found: dict[str, int] = {}
    for window in windows:
        if window.rejected:
            found[window.rejected] = found.get(window.rejected, 0) + 1
    return found


def rejected_notes(record: RunRecord) -> list[str]:
    """Return a sentence a configuration and reason for which windows were rejected."""
    return [
        f"{_first_upper(describe(place))}: {count} window{'s' if count > 1 else ''} rejected: {reason}"
        for place in record.configurations
        for reason, count in rejections(place.windows).items()
    ]


def configurations_to_draw(row: RunRow, limit: int) -> list[ConfigurationSamples]:
    """Return the headline configuration, then those that need a look: unstable, or with rejected windows."""
    ran = [found for found in row.record.configurations if isinstance(found, ConfigurationSamples)]

    def rank(found: ConfigurationSamples) -> tuple[bool, bool]:
        verdict = verdict_of(row.record, found)
        doubtful = len(found.accepted) < len(found.windows) or (verdict and verdict.status != "stable")
        return describe(found) != (row.configuration and describe(row.configuration)), not doubtful

    ordered = sorted(ran, key=rank)
    return [found for found in ordered if not all(rank(found))][:limit]


def run_facts(record: RunRecord) -> list[tuple[str, str]]:
    """Return what was done for this run and what went wrong, as label and text."""
    facts = [("method", _method(record))]
    control = record.control
    if control is not None:
        facts.append(("CPUs", f"pinned to {_cpus(control.pinned)}" if control.pinned else "all"))
        facts.append(("governor", f"set to {control.governor}" if control.governor else "left as it was"))
        facts += [("refused", control.refused)] if control.refused else []
    facts.append(("power", power_source(record)))
    if record.stolen_from:
        reason = record.steal_reason or "no reason given"
        facts.append(("lease", f"taken from {record.stolen_from}: {reason}"))
    return facts


def power_source(record: RunRecord) -> str:
    """Return which sensor measured power and what it covers, or why none did."""
    sensor = record.power_sensor
    if sensor is None:
        return f"{DASH} not recorded"
    if isinstance(sensor, Unavailable):
        return f"unavailable: {sensor.unavailable.rstrip('.')}"
    via = "" if sensor.name.startswith(sensor.driver) else f" through {sensor.driver}"
    cabled = "" if sensor.at == "device" else f", cabled to {_machine(sensor.at)}"
    return f"{sensor.name}{via}{cabled}, covers {sensor.covers}"


def _machine(at: str) -> str:
    return "the host" if at == "host" else f"the gateway {at}"


def _method(record: RunRecord) -> str:
    spec = record.spec
    plural = "s" if spec.windows > 1 else ""
    text = f"{spec.windows} window{plural} of at least {spec.min_seconds:g} s or {spec.min_runs} inferences"
    text += f" after a warm-up of at least {spec.warmup_min_seconds:g} s"
    return f"{text}; {QUICK_EXPLAINED}" if spec.quick else text


def _ran(record: RunRecord, found: ConfigurationSamples) -> tuple[Cell, ...]:
    others = verdict.others_cpus if (verdict := verdict_of(record, found)) else None
    throughput = record.find("throughput", configuration=found)
    return (
        Cell(describe(found)),
        metric_cell(record.find("latency", "p50", found), format_duration_ns),
        metric_cell(record.find("latency", "p90", found), format_duration_ns),
        verdict_cell(record, found),
        _windows(found),
        metric_cell(throughput, format_throughput),
        energy_cell(record, found, "energy per inference"),
        Cell(DASH, reason="the device does not say what else ran")
        if others is None
        else Cell(f"{others:.2f}"),
    )


def _did_not_run(found: ConfigurationUnavailable) -> tuple[Cell, ...]:
    missing = Cell(DASH, reason=f"did not run: {found.unavailable}")
    lost = f"{len(found.windows)} rejected" if found.windows else DASH
    return (Cell(describe(found)), missing, missing, missing, Cell(lost), *[missing] * 3)


def _windows(found: ConfigurationSamples) -> Cell:
    lost = len(found.windows) - len(found.accepted)
    return Cell(str(len(found.accepted)), detail=f"{lost} rejected" if lost else None)


def _cpus(cpus: Sequence[int]) -> str:
    return f"CPU{'s' if len(cpus) > 1 else ''} {', '.join(map(str, cpus))}"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
