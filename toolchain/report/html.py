"""Runs as one self-contained HTML page: no script, no network, light and dark, desktop and phone.

Rules:
    * Everything that came from a device or a user is text: jinja2 escapes it, and the page's own policy
      forbids scripts and requests besides.
    * The same runs give the same page; its date is that of the latest run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.headlines import cards, verdicts
from edgepack.toolchain.report.plots import (
    color_of,
    latency_plots,
    quality_plot,
    size_plot,
    throughput_plots,
)
from edgepack.toolchain.report.provenance import device_facts
from edgepack.toolchain.report.view import (
    COLUMNS,
    DASH,
    describe,
    device_rows,
    footnotes,
    group_models,
    quality_text,
    unavailable_configurations,
)
from edgepack.toolchain.results.from_job import RATIO_METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import ModelGroup
    from edgepack.toolchain.results.schema import RunRecord

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_LATENCY_PLOTS = 12
_MAX_THROUGHPUT_PLOTS = 18
_NOTES = (
    "Percentiles interpolate linearly between samples (Hyndman and Fan, type 7). One that the samples "
    "cannot support is left out: p90 needs 10 samples, p99 needs 100.",
    "Throughput is batch size over median latency of one configuration, measured on its own.",
    "First inference and warm-up are not part of the latency samples. Nothing is discarded from the samples.",
    "Peak memory is the resident set of a process of its own that runs the model, the runtime included.",
)


def html_report(
    records: Sequence[RunRecord], builds: Sequence[BuildSummary] = (), *, title: str | None = None
) -> str:
    """Return the page.

    Args:
        records: The runs to show, in any order.
        builds: What is known of the builds, for sizes, quality, the path of auto and the worst tensors.
        title: The heading; by default the models' names.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    groups = group_models(records, builds)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    page = _page(groups, records, title)
    return environment.get_template("report.html.j2").render(page=page, style=Markup(style))  # our own file


def _page(groups: Sequence[ModelGroup], records: Sequence[RunRecord], title: str | None) -> dict[str, Any]:
    rows = [row for group in groups for row in group.rows]
    latest = max(records, key=lambda r: r.time, default=None)
    names = " and ".join(dict.fromkeys(f"{group.name} for {group.target}" for group in groups))
    return {
        "title": title or names or "Nothing was measured",
        "subtitle": _subtitle(groups, records),
        "emulated": any(record.emulated for record in records),
        "models": [_model(group, number) for number, group in enumerate(groups, start=1)],
        "devices": [
            {"name": record.device.name, "emulated": record.emulated, "facts": device_facts(record)}
            for record in device_rows(rows)
        ],
        "notes": [*_NOTES, *_run_notes(groups)],
        "tool_version": latest.tool_version if latest else "",
    }


def _subtitle(groups: Sequence[ModelGroup], records: Sequence[RunRecord]) -> str:
    precisions = len({p for group in groups for p in group.precisions})
    devices = len({record.device.name for record in records})
    parts = [_count(precisions, "precision")]
    if records:
        parts.append(f"{_count(len(records), 'run')} on {_count(devices, 'device')}")
        parts.append(f"measured {max(r.time for r in records):%d %B %Y, %H:%M %Z}")
    return " · ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _model(group: ModelGroup, number: int) -> dict[str, Any]:
    notes = footnotes(group.rows)
    latency, latency_left_out = latency_plots(group, _MAX_LATENCY_PLOTS)
    throughput, throughput_left_out = throughput_plots(group, _MAX_THROUGHPUT_PLOTS)
    return {
        "anchor": f"model-{number}",
        "name": group.name,
        "target": group.target,
        "cards": cards(group),
        "verdicts": verdicts(group),
        "headings": [
            f"{group.metric} host → device" if c == "quality" and group.metric else c for c in COLUMNS
        ],
        "rows": [
            {"cells": row.cells, "color": _color(row.record.model.precision, group), "notes": notes}
            for row in group.rows
        ],
        "footnotes": list(notes),
        "legend": [{"name": p, "color": _color(p, group)} for p in group.precisions],
        "latency": latency,
        "latency_left_out": latency_left_out,
        "throughput": throughput,
        "throughput_left_out": throughput_left_out,
        "size": size_plot(group),
        "quality": quality_plot(group),
        "searches": [_search(build) for build in group.builds if build.search],
        "tensors": _tensors(group),
        "provenance": _provenance(group),
    }


def _color(precision: str, group: ModelGroup) -> int:
    return color_of(precision, group.precisions)


def _search(build: BuildSummary) -> dict[str, Any]:
    is_ratio = build.metric in RATIO_METRICS
    steps = [
        {
            "description": step.description,
            "size": format_bytes(step.size_bytes),
            "metric": quality_text(step.metric, is_ratio=is_ratio),
            "drop": _drop(step.drop, is_ratio=is_ratio),
            "drop_high": None if step.drop_high is None else _drop(step.drop_high, is_ratio=is_ratio),
            "accepted": step.accepted,
        }
        for step in build.search
    ]
    return {"metric": build.metric, "steps": steps}


def _drop(drop: float, *, is_ratio: bool) -> str:
    return f"{drop * 100:.2f} points" if is_ratio else f"{drop:.4g}"


def _tensors(group: ModelGroup) -> list[dict[str, Any]]:
    return [
        {
            "precision": build.precision,
            "color": _color(build.precision, group),
            "operator": tensor.operator,
            "name": tensor.name,
            "sqnr": DASH if tensor.sqnr_db is None else f"{tensor.sqnr_db:.1f} dB",
            "error": DASH if tensor.max_step_error is None else f"{tensor.max_step_error:.3g} steps",
        }
        for build in group.builds
        for tensor in build.worst_tensors[:3]
    ]


def _provenance(group: ModelGroup) -> list[dict[str, Any]]:
    return [
        {
            "precision": row.record.model.precision,
            "color": _color(row.record.model.precision, group),
            "package_id": row.record.package.package_id,
            "model_sha256": row.record.model.sha256,
            "runtime": f"{row.record.runtime.kind} {row.record.runtime.version}",
            "run_id": row.record.run_id,
            "time": f"{row.record.time:%Y-%m-%d %H:%M %Z}",
        }
        for row in group.rows
    ]


def _run_notes(groups: Sequence[ModelGroup]) -> list[str]:
    """Say which configurations did not run, once a reason."""
    found: dict[str, list[str]] = {}
    rows = [row for group in groups for row in group.rows]
    for row in rows:
        for reason, places in unavailable_configurations(row.record).items():
            where = "; ".join(map(describe, places))
            found.setdefault(f"{where}: did not run: {reason}", []).append(row.label)
    return [
        f"{'All runs' if len(labels) == len(rows) > 1 else ', '.join(labels)}: {what}"
        for what, labels in found.items()
    ]
