"""Limits on a comparison: `latency_p90=+5%` in, passed or failed with the reason out.

Rules:
    * A gate on a measured figure fails only where the figure lies beyond the limit and the change is worse
      beyond the noise: two identical runs pass, a slowdown of twice the limit fails (`benchmarks/gate.py`).
    * A figure without noise of measurement (a size, the quality on a given set) is held against the limit as
      it is, and so is one that nothing can test.
    * What passes only because of the noise is `undecided`, and said to be; a strict gate fails there.
    * A gate that cannot be judged is an error, never a pass.
    * Without `[…]` a gate stands on the headline configuration: one question, one answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from edgepack.targets.errors import nearest
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.results.value_text import change_text, interval_text, value_text

if TYPE_CHECKING:
    from edgepack.toolchain.results.change import MetricChange
    from edgepack.toolchain.results.job_record import Configuration

Bound = Literal["max", "min"]

ALIASES = {
    "accuracy": "quality_device",
    "quality": "quality_device",
    "energy": "energy_per_inference",
    "single_stream_latency": "latency_p90",
}
"""What people write, and the metric that it is in the record."""

_MAX_TEXT = 128
_TOLERANCE = 1e-9  # exactly the limit is allowed, whatever binary fractions make of it
_UNITS: dict[str, tuple[str, float]] = {
    "ns": ("ns", 1), "us": ("ns", 1e3), "µs": ("ns", 1e3), "ms": ("ns", 1e6), "s": ("ns", 1e9),
    "B": ("bytes", 1), "kB": ("bytes", 1e3), "MB": ("bytes", 1e6), "GB": ("bytes", 1e9),
    "KiB": ("bytes", 2**10), "MiB": ("bytes", 2**20), "GiB": ("bytes", 2**30),
    "uJ": ("J", 1e-6), "µJ": ("J", 1e-6), "mJ": ("J", 1e-3), "J": ("J", 1),
    "mW": ("W", 1e-3), "W": ("W", 1), "/s": ("inferences/s", 1), "/J": ("inferences/J", 1),
}  # fmt: skip
_GATE = re.compile(r"(?P<metric>[a-z][a-z0-9_]*)(?:\[(?P<where>[^\]]*)\])?=(?P<limit>\S.*)")
_LIMIT = re.compile(
    r"(?P<sign>[+-]?)(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?) ?(?P<unit>%|pp|[A-Za-zµμ/]{1,4})?"
)
_EXAMPLES = "latency_p90=+5%, accuracy=-0.5pp, latency_p50=20ms or model_size=+0B"


@dataclass(frozen=True)
class Limit:
    """How far a metric may go.

    Attributes:
        kind: "relative" to BASE (a fraction), "points" of a ratio, a "difference" in `unit`, or a "value".
        amount: The limit; for "difference" and "value" in `unit`.
        unit: Unit of the record; None for "relative", "points", and a figure without unit.
        text: As it was written.
    """

    kind: Literal["relative", "points", "difference", "value"]
    amount: float
    unit: str | None
    text: str


@dataclass(frozen=True)
class Place:
    """Which configurations a gate stands on; None matches any."""

    batch: int | None = None
    threads: int | None = None
    delegate: str | None = None

    def matches(self, configuration: Configuration | None) -> bool:
        """Return whether a configuration is meant; what belongs to the whole run always is."""
        if configuration is None:
            return True
        return (
            self.batch in (None, configuration.batch)
            and self.threads in (None, configuration.threads)
            and self.delegate in (None, configuration.delegate)
        )


@dataclass(frozen=True)
class Gate:
    """A limit on a metric.

    Attributes:
        bound: "max": NEW may not lie above; "min": not below.
        metric: The metric's key, such as "latency_p90".
        limit: The limit.
        place: The configurations; None for the headline configuration.
        text: As it was written, such as "--max latency_p90=+5%".
        strict: Whether it fails beyond the limit also where the change is inside the noise.
    """

    bound: Bound
    metric: str
    limit: Limit
    place: Place | None
    text: str
    strict: bool = False


@dataclass(frozen=True)
class GateResult:
    """How a gate ended.

    Attributes:
        gate: The gate.
        status: "error" where it could not be judged.
        message: With the figures.
        undecided: It passed although the figure is beyond the limit, because that may be noise.
    """

    gate: Gate
    status: Literal["passed", "failed", "error"]
    message: str
    undecided: bool = False


def parse_gate(bound: Bound, text: str, *, strict: bool = False) -> Gate:
    """Return the gate in a text such as "latency_p90=+5%" or "latency_p50[batch=4,threads=2]=20ms".

    Args:
        bound: Whether NEW may not lie above or below.
        text: The gate.
        strict: Whether it fails beyond the limit also where the change is inside the noise.

    Raises:
        ProjectError: It is not a gate.
    """
    match = _GATE.fullmatch(text.strip()) if len(text) <= _MAX_TEXT else None
    if match is None:
        _refuse(f"{text[:_MAX_TEXT]!r} is not METRIC=LIMIT")
    metric = ALIASES.get(match["metric"], match["metric"])
    place = None if match["where"] is None else _parse_place(match["where"])
    return Gate(bound, metric, _parse_limit(match["limit"]), place, f"--{bound} {text.strip()}", strict)


def judge(gate: Gate, change: MetricChange) -> GateResult:
    """Hold a change against a gate.

    Raises:
        ProjectError: The gate's limit does not fit the metric.
    """
    _check_fit(gate, change)
    if change.new is None:
        return GateResult(gate, "error", f"not judged: {change.reason}")
    if gate.limit.kind == "value":
        return _judge_value(gate, change, change.new)
    if change.base is None or (gate.limit.kind != "difference" and change.change is None):
        return GateResult(gate, "error", f"not judged: {change.reason}")
    by = change.new - change.base if gate.limit.kind == "difference" else change.change
    assert by is not None
    text = _by_text(gate, change, by)
    if not _beyond(gate, by):
        return GateResult(gate, "passed", f"{text}, limit {gate.limit.text}")
    if _needs_proof(gate, change) and not _worse(gate, change):
        return _undecided(gate, text)
    return GateResult(gate, "failed", f"{text}, limit {gate.limit.text}")


def _judge_value(gate: Gate, change: MetricChange, new: float) -> GateResult:
    text = value_text(new, change.unit)
    sure = change.new_low if gate.bound == "max" else change.new_high
    if not _beyond(gate, new):
        return GateResult(gate, "passed", f"{text}, limit {gate.limit.text}")
    if not gate.strict and not change.exact and sure is not None and not _beyond(gate, sure):
        return _undecided(gate, text)
    return GateResult(gate, "failed", f"{text}, limit {gate.limit.text}")


def _undecided(gate: Gate, text: str) -> GateResult:
    message = f"{text} is beyond {gate.limit.text}, but inside the noise: measure more windows"
    return GateResult(gate, "passed", message, undecided=True)


def _beyond(gate: Gate, value: float) -> bool:
    slack = _TOLERANCE * max(1.0, abs(gate.limit.amount))
    if gate.bound == "max":
        return value > gate.limit.amount + slack
    return value < gate.limit.amount - slack


def _needs_proof(gate: Gate, change: MetricChange) -> bool:
    """Return whether the change must be beyond the noise for the gate to fail.

    Not where nothing tests it, and not where the limit demands an improvement: that one has to be shown.
    """
    demands_improvement = gate.limit.amount < 0 if gate.bound == "max" else gate.limit.amount > 0
    return not gate.strict and change.p_value is not None and not change.exact and not demands_improvement


def _worse(gate: Gate, change: MetricChange) -> bool:
    by = change.change or 0.0
    return change.significant and (by > 0 if gate.bound == "max" else by < 0)


def _by_text(gate: Gate, change: MetricChange, by: float) -> str:
    if gate.limit.kind == "difference":
        return f"{'+' if by >= 0 else ''}{value_text(by, change.unit)}"
    text = change_text(by, is_points=change.is_points)
    if change.low is None or change.high is None:
        return text
    return f"{text} ({interval_text(change.low, change.high, is_points=change.is_points)})"


def _check_fit(gate: Gate, change: MetricChange) -> None:
    """Refuse a limit that cannot mean what its writer wants."""
    kind, unit = gate.limit.kind, gate.limit.unit
    is_ratio = change.unit == "ratio"
    if kind == "points" and not is_ratio:
        _refuse(f"'{gate.text}': {gate.metric} is no share of one, so it has no points", f"{gate.metric}=+5%")
    if kind == "relative" and is_ratio:
        _refuse(f"'{gate.text}': per cent of a percentage can be read in two ways", f"{gate.metric}=-0.5pp")
    if kind in ("difference", "value") and unit != change.unit and (unit, change.unit) != (None, "1"):
        found = "no unit" if unit is None else f"'{unit}'"
        _refuse(f"'{gate.text}': {gate.metric} is in '{change.unit}', the limit has {found}")
    wrong_way = {"max": "higher", "min": "lower"}[gate.bound] == change.better
    if wrong_way and kind != "value":
        other = "min" if gate.bound == "max" else "max"
        _refuse(f"'{gate.text}' lets {gate.metric} get worse without limit", f"--{other} {gate.metric}=…")


def _parse_limit(text: str) -> Limit:
    match = _LIMIT.fullmatch(text.strip())
    if match is None:
        _refuse(f"{text[:_MAX_TEXT]!r} is not a limit")
    signed, unit = bool(match["sign"]), (match["unit"] or "").replace("μ", "µ")
    number = float(match["sign"] + match["number"])
    if unit == "pp":
        if not signed:
            _refuse(f"{text!r} has no sign", f"-{text}")
        return Limit("points", number / 100, None, text)
    if unit == "%":
        return (
            Limit("relative", number / 100, None, text)
            if signed
            else Limit("value", number / 100, "ratio", text)
        )
    if unit and unit not in _UNITS:
        _refuse(f"{text!r} has the unknown unit {unit!r}.{nearest(unit, _UNITS)}".rstrip("."))
    name, factor = _UNITS[unit] if unit else (None, 1.0)
    return Limit("difference" if signed else "value", number * factor, name, text)


def _parse_place(text: str) -> Place:
    if text.strip() == "*":
        return Place()
    found: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        number = key in ("batch", "threads") and re.fullmatch(r"[0-9]{1,6}", value)
        if not equals or key in found or not (number or (key == "delegate" and value in ("xnnpack", "none"))):
            _refuse(f"[{text}] is no configuration", "latency_p90[batch=1,threads=4,delegate=xnnpack]=+5%")
        found[key] = value
    batch, threads = (int(found[key]) if key in found else None for key in ("batch", "threads"))
    return Place(batch, threads, found.get("delegate"))


def _refuse(what: str, example: str | None = None) -> NoReturn:
    message = f"{what}."
    raise ProjectError(message, remedy=f"Write {example or _EXAMPLES}.")
