"""A baseline: a file to commit, against which later runs are judged.

Rules:
    * It can be judged again: it holds the records with the samples of every window, thinned so that every
      quantile stays where it was, and in the order they were taken.
    * The same runs give the same bytes, and a reviewer of a change sees figures first: a line a run on top,
      the metrics line by line, the samples of a window on one line.
    * What no comparison reads (operator profile, roofline, power curve, states inside a window) is left out,
      and says so.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.results.schema import Metric, RunRecord
from edgepack.toolchain.results.value_text import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
_SAMPLES_A_RECORD = 40_000
_SAMPLES_A_WINDOW = 200  # at least so many stay, whatever the number of windows
_LEFT_OUT = {"unavailable": "left out of the baseline file"}
_NUMBERS = re.compile(r"\[\n\s*(-?[0-9.e+-]+(?:,\n\s*-?[0-9.e+-]+)*)\n\s*\]")
_SHOWN = (("latency", "p50"), ("latency", "p90"), ("energy_per_inference", None), ("model_size", None),
          ("quality_device", None))  # fmt: skip


def baseline_text(records: Sequence[RunRecord]) -> str:
    """Return the content of a baseline file: JSON that `read_runs` reads, a few hundred kilobytes a run."""
    ordered = sorted(records, key=lambda r: (r.package.name, r.target, r.model.precision, r.device.name))
    value = {
        "format": "edgepack-baseline",
        "version": VERSION,
        "runs_in_short": [_summary(record) for record in ordered],
        "records": [_thinned(record) for record in ordered],
    }
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    # Inside a JSON string there is no line break, so this finds lists of numbers only.
    return _NUMBERS.sub(lambda match: f"[{''.join(match[1].split())}]", text) + "\n"


def thinned_samples(samples: Sequence[int], count: int) -> list[int]:
    """Return `count` samples whose quantiles are those of all, in the order they were taken.

    Chosen are the samples at evenly spaced ranks, the smallest and the largest among them.
    """
    if len(samples) <= count:
        return list(samples)
    by_rank = sorted(range(len(samples)), key=lambda index: (samples[index], index))
    last = len(samples) - 1
    chosen = {by_rank[round(rank * last / (count - 1))] for rank in range(count)}
    return [samples[index] for index in sorted(chosen)]


def _thinned(record: RunRecord) -> dict[str, Any]:
    value = record.model_dump(mode="json")
    windows = [window for found in value["configurations"] for window in found.get("windows", ())]
    count = max(_SAMPLES_A_WINDOW, _SAMPLES_A_RECORD // max(1, len(windows)))
    for window in windows:
        _thin_window(window, count)
    for found in value["configurations"]:
        for reading in (found.get("idle") or {}).values():
            reading.pop("trace", None)
    for part in ("profile", "roofline"):
        if value[part] is not None:
            value[part] = _LEFT_OUT
    return RunRecord.model_validate(value).model_dump(mode="json")


def _thin_window(window: dict[str, Any], count: int) -> None:
    samples = window["samples_ns"]
    kept = thinned_samples(samples, count)
    window["samples_ns"] = kept
    window["sample_stride"] *= max(1, round(len(samples) / len(kept)))
    window["states"] = (
        [window["states"][0], window["states"][-1]] if len(window["states"]) > 1 else window["states"]
    )
    window["power"].pop("trace", None)


def _summary(record: RunRecord) -> str:
    parts = []
    place = min(
        (
            (m.configuration.batch, m.value, m.configuration)
            for m in record.metrics
            if isinstance(m, Metric) and m.configuration and (m.name, m.aggregation) == ("latency", "p50")
        ),
        key=lambda found: found[:2],
        default=(0, 0.0, None),
    )[2]
    for name, aggregation in _SHOWN:
        metric = record.find(
            name, aggregation, place if name in ("latency", "energy_per_inference") else None
        )
        if isinstance(metric, Metric):
            label = metric.aggregation if name in ("latency", "quality_device") else name.replace("_", " ")
            parts.append(f"{label} {value_text(metric.value, metric.unit)}")
    where = f"batch {place.batch}, {place.threads} threads" if place else "nothing ran"
    return (
        f"{record.package.name} {record.model.precision} for {record.target} on {record.device.name}, "
        f"{record.time:%Y-%m-%d}, {where}: {', '.join(parts)}"
    )
