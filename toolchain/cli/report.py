"""`edgepack report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.toolchain.cli.output import json_option, note, show_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.change import Comparison
    from edgepack.toolchain.results.schema import RunRecord


@click.command(name="report", short_help="Show and export kept results.")
@click.option("--name", help="Only this package.")
@click.option("--device", help="Only this device.")
@click.option("--target", help="Only this target.")
@click.option("--tag", help="Only runs with this tag.")
@click.option("--run", "run_ids", multiple=True, help="Only this run. Repeatable.")
@click.option("--all-runs", is_flag=True, help="Every run, not only the newest of each package and device.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Write report.html, .json, .csv and .md here."
)
@click.option(
    "--baseline", metavar="BASE", help="Compare with this file, run or tag, in what --output writes."
)
@click.option("--store", help="Path or URL of the result store. [default: .edgepack/results.sqlite]")
@click.option(
    "--project", type=click.Path(path_type=Path), help="The project file. [default: ./edgepack.toml]"
)
@json_option
def command(
    name: str | None,
    device: str | None,
    target: str | None,
    tag: str | None,
    run_ids: tuple[str, ...],
    all_runs: bool,
    output: Path | None,
    baseline: str | None,
    store: str | None,
    project: Path | None,
) -> None:
    """Show the results that were kept: the newest of each package, precision and device.

    With --output they are written as one HTML page that needs no network, as JSON, CSV and Markdown; with
    --baseline the page and the JSON say what has changed since, beyond the noise or within it.
    """
    from edgepack.toolchain.api import find_results
    from edgepack.toolchain.report.tables import results_table
    from edgepack.toolchain.report.write import write_reports

    records, builds = find_results(
        name=name,
        device=device,
        target=target,
        tag=tag,
        run_ids=run_ids,
        newest=not all_runs,
        store=store,
        project=project,
    )
    show_result([record.model_dump(mode="json") for record in records], results_table(records, builds))
    if output:
        comparisons = _comparisons(baseline, records, store, project) if baseline else ()
        for path in write_reports(output, records, builds, comparisons):
            note(f"Wrote {path}")


def _comparisons(
    baseline: str, records: Sequence[RunRecord], store: str | None, project: Path | None
) -> Sequence[Comparison]:
    from edgepack.toolchain.comparing import compare_with_baseline, project_gates

    gates = project_gates(project)
    return compare_with_baseline(baseline, records, gates=gates, store=store, project=project).comparisons
