"""`edgepack collect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.toolchain.cli.devices_options import device_options, exit_code_of, failure_documents, fleet_rows
from edgepack.toolchain.cli.output import json_option, note, show_error, show_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.jobs import Collected
    from edgepack.toolchain.progress import Report


@click.command(name="collect", short_help="Bring home the records that devices have kept.")
@device_options
@click.option("--job", "job_ids", multiple=True, help="Only this job. Repeatable.")
@click.option("--wait", is_flag=True, help="Wait for benchmarks that still run.")
@click.option("--all-owners", is_flag=True, help="Also the benchmarks of other users.")
@click.option("--clear-failed", is_flag=True, help="Remove jobs that left no record, after showing why.")
@click.option(
    "--accuracy/--no-accuracy", default=True, help="Compute accuracy from the outputs. [default: yes]"
)
@click.option("--store", help="Path or URL of the result store. [default: .edgepack/results.sqlite]")
@click.option(
    "--project", type=click.Path(path_type=Path), help="The project file. [default: ./edgepack.toml]"
)
@json_option
def command(
    devices: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    lab: Path | None,
    jobs: int | None,
    job_ids: tuple[str, ...],
    wait: bool,
    all_owners: bool,
    clear_failed: bool,
    accuracy: bool,
    store: str | None,
    project: Path | None,
) -> int:
    """Bring home the records of finished benchmarks: of `bench --detach`, and of links that were lost.

    A device deletes a record only after it is kept here. The package need not be at hand: the device hands
    out what is needed. Without --device: the devices of the project, else all of lab.toml.
    """
    from edgepack.toolchain.api import bench_settings, select_fleet
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.jobs import Choice, collect_from
    from edgepack.toolchain.report.job_tables import left_document

    fleet = select_fleet(
        names=devices,
        groups=groups,
        everything=everything,
        lab=lab,
        jobs=jobs,
        project=project,
        or_all=True,
    )
    home = bench_settings(project=project, store=store, accuracy=accuracy).home
    choice = Choice(job_ids, all_owners=all_owners, wait=wait, clear_failed=clear_failed)

    def work(device: Device, report: Report, cancellation: Cancellation) -> Collected:
        return collect_from(device, fleet.lab, home, choice, report, cancellation)

    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(fleet.devices, work, parallel=fleet.parallel, listen=listen)
    found = [outcome.value for outcome in outcomes if outcome.value]
    show_result(
        {
            "runs": [record.model_dump(mode="json") for each in found for record in each.records],
            "left": [left_document(each.device, left) for each in found for left in each.left],
            "failures": failure_documents(outcomes),
        },
        *_tables(found),
    )
    if any(each.records for each in found):
        note(f"Kept in {home.store}. Write a report: edgepack report --output report")
    return exit_code_of(outcomes) or _exit_code(found, job_ids)


def _tables(found: Sequence[Collected]) -> list[RenderableType]:
    from edgepack.toolchain.report.job_tables import left_table
    from edgepack.toolchain.report.tables import results_table

    records = [record for each in found for record in each.records]
    left = [(each.device, job) for each in found for job in each.left]
    tables: list[RenderableType] = [results_table(records)] if records else []
    if left:
        tables.append(left_table(left))
    return tables or ["Nothing to collect."]


def _exit_code(found: Sequence[Collected], job_ids: tuple[str, ...]) -> int:
    """Tell of jobs that left no record and of jobs that no device has; 0 where there are none."""
    from edgepack.toolchain.errors import MeasurementError

    code = 0
    for each in found:
        for left in each.left:
            if left.error is not None and not left.removed:
                remedy = f"{left.error.remedy} (edgepack collect --clear-failed removes the job.)"
                show_error(left.error.message, remedy)
                code = code or left.error.exit_code
    known = {record.run_id.rpartition("-")[0] for each in found for record in each.records}
    known |= {left.job.job_id for each in found for left in each.left}
    if absent := sorted(set(job_ids) - known):
        show_error(f"No device has a job {', '.join(absent)}.", "List the jobs: edgepack jobs")
        code = code or MeasurementError.exit_code
    return code
