"""Runs as one self-contained HTML page: no script, no network, light and dark, desktop and phone.

Rules:
    * Everything that came from a device or a user is text: jinja2 escapes it, and the page's own policy
      forbids scripts and requests besides.
    * The same runs give the same page; its date is that of the latest run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.report.comparison_section import comparison_section
from edgepack.toolchain.report.details import QUICK_EXPLAINED
from edgepack.toolchain.report.device_state import device_facts
from edgepack.toolchain.report.graphs import graphs_at_hand, packages_of
from edgepack.toolchain.report.model_section import model_section
from edgepack.toolchain.report.view import describe, device_rows, group_models, unavailable_configurations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import ModelGroup
    from edgepack.toolchain.results.change import Comparison
    from edgepack.toolchain.results.schema import RunRecord

_TEMPLATES = Path(__file__).parent / "templates"
_FIGURE_AND_UNIT = re.compile(r"(?<=\d) (?=(?:%|[numkMG]?(?:s|W|J|Hz)\b|µ[sWJ]|[kM]?/[sJ]|[KMG]iB))")
_NOTES = (
    "Latency is that of the median window: the one whose median is the middle one of all windows that count. "
    "All windows are kept in the record. Ranges are 95 % intervals.",
    "Percentiles interpolate linearly between samples (Hyndman and Fan, type 7). One that the samples "
    "cannot support is left out: p90 needs 10 samples, p99 needs 100.",
    "Throughput is batch size over median latency of one configuration, measured on its own.",
    "First inference and warm-up are not part of the latency samples. Nothing is discarded from the samples.",
    "Peak memory is the resident set of a process of its own that runs the model, the runtime included.",
)


def html_report(
    records: Sequence[RunRecord],
    builds: Sequence[BuildSummary] = (),
    comparisons: Sequence[Comparison] = (),
    *,
    title: str | None = None,
) -> str:
    """Return the page.

    Args:
        records: The runs to show, in any order.
        builds: What is known of the builds, for sizes, quality, the path of auto and the worst tensors.
        comparisons: Comparisons with a baseline.
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
    environment.filters["tied"] = _tied
    environment.filters["more"] = lambda count, what: f"{count} more {what}{' is' if count == 1 else 's are'}"
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    graphs = graphs_at_hand(records, packages_of(builds))
    models = [model_section(group, number, graphs) for number, group in enumerate(groups, start=1)]
    page = {**_page(groups, records, comparisons, title), "models": models}
    return environment.get_template("report.html.j2").render(page=page, style=Markup(style))  # our own file


def _tied(text: str) -> str:
    """Return a text in which no unit begins a line without its figure."""
    return _FIGURE_AND_UNIT.sub("\u00a0", text)


def _page(
    groups: Sequence[ModelGroup],
    records: Sequence[RunRecord],
    comparisons: Sequence[Comparison],
    title: str | None,
) -> dict[str, Any]:
    rows = [row for group in groups for row in group.rows]
    latest = max(records, key=lambda r: r.time, default=None)
    names = " and ".join(dict.fromkeys(f"{group.name} for {group.target}" for group in groups))
    return {
        "title": title or names or "Nothing was measured",
        "subtitle": _subtitle(groups, records),
        "emulated": any(record.emulated for record in records),
        "quick": QUICK_EXPLAINED if any(record.spec.quick for record in records) else None,
        "comparisons": [comparison_section(found, n) for n, found in enumerate(comparisons, start=1)],
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
