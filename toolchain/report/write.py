"""Write a report as files: one HTML page, JSON, CSV and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.report.csv_report import csv_report
from edgepack.toolchain.report.html import html_report
from edgepack.toolchain.report.json_report import json_report
from edgepack.toolchain.report.markdown_report import markdown_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.change import Comparison
    from edgepack.toolchain.results.schema import RunRecord

FORMATS: dict[str, Callable[[Sequence[RunRecord], Sequence[BuildSummary], Sequence[Comparison]], str]] = {
    "html": html_report,
    "json": json_report,
    "csv": lambda records, _builds, _comparisons: csv_report(records),  # one row a metric: it shows runs only
    "md": lambda records, builds, _: markdown_report(records, builds),
}


def write_reports(
    folder: Path,
    records: Sequence[RunRecord],
    builds: Sequence[BuildSummary] = (),
    comparisons: Sequence[Comparison] = (),
    *,
    formats: Sequence[str] = tuple(FORMATS),
) -> list[Path]:
    """Write `report.html`, `report.json`, `report.csv` and `report.md` into a folder, each by one rename.

    Args:
        folder: Where they go; made if it does not exist.
        records: The runs.
        builds: What is known of their builds.
        comparisons: Comparisons with a baseline, for the page and the JSON.
        formats: Which to write, keys of `FORMATS`.

    Raises:
        ProjectError: The folder cannot be written.
    """
    written = []
    for suffix in formats:
        path = folder / f"report.{suffix}"
        partial = path.with_name(f".{path.name}.partial")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(FORMATS[suffix](records, builds, comparisons), encoding="utf-8")
            partial.replace(path)
        except OSError as err:
            message = f"{path}: cannot be written ({err.strerror})."
            raise ProjectError(message, remedy="Name a folder that you may write: --output FOLDER") from err
        written.append(path)
    return written
