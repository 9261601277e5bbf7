"""`edgepack bench PKG --device D`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.bench_options import (
    bench_options,
    settings_from,
    stability_exit_code,
    tell_estimate,
)
from edgepack.toolchain.cli.devices_options import (
    contention_options,
    device_options,
    exit_code_of,
    failure_documents,
    fleet_rows,
    reviver,
)
from edgepack.toolchain.cli.output import json_option, note, show_result

if TYPE_CHECKING:
    from edgepack.toolchain.api import Fleet
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.fleet import Revive
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.pipeline import Bench, StartedJob
    from edgepack.toolchain.progress import Report
    from edgepack.toolchain.results.schema import RunRecord


@click.command(name="bench", short_help="Measure an installed package on devices.")
@click.argument("package", type=click.Path(path_type=Path))
@device_options
@bench_options("--batch", "--batches")
@click.option("--detach", is_flag=True, help="Start the benchmarks and return; `collect` brings them home.")
@contention_options
@click.option(
    "--project", type=click.Path(path_type=Path), help="The project file. [default: ./edgepack.toml]"
)
@json_option
def command(
    package: Path,
    devices: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    lab: Path | None,
    jobs: int | None,
    detach: bool,
    wait: float,
    steal: str | None,
    no_power_cycle: bool,
    project: Path | None,
    **given: Any,  # noqa: ANN401 - the options of bench_options
) -> int:
    """Measure PACKAGE where it is installed: load, first inference, latency, throughput, memory, accuracy.

    Every configuration of batch, threads and delegate runs in a process of its own. Raw samples are kept.
    The benchmark is a job of the device: it goes on when the link drops; `collect` brings its record home.
    """
    from edgepack.toolchain.api import select_fleet
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.pipeline import bench_package
    from edgepack.toolchain.report.profile_tables import profile_tables
    from edgepack.toolchain.report.tables import results_table

    fleet = select_fleet(
        names=devices, groups=groups, everything=everything, lab=lab, jobs=jobs, project=project
    )
    settings, require_stable = settings_from(given, project=project, wait=wait, steal=steal)
    tell_estimate(settings)
    revive = reviver(fleet, no_power_cycle)
    if detach:
        return _detach(package, fleet, settings, revive)

    def work(device: Device, report: Report, cancellation: Cancellation) -> RunRecord:
        return bench_package(package, device, fleet.lab, settings, report, cancellation)

    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(
            fleet.devices, work, parallel=fleet.parallel, attempts=1, listen=listen, revive=revive
        )
    records = [outcome.value for outcome in outcomes if outcome.value]
    documents = [record.model_dump(mode="json") for record in records]
    show_result(
        {"runs": documents, "failures": failure_documents(outcomes)},
        *([results_table(records), *profile_tables(records, [package])] if records else []),
    )
    if records:
        note(f"Kept in {settings.home.store}. Write a report: edgepack report --output report")
    unstable = stability_exit_code(records) if require_stable else 0
    return exit_code_of(outcomes) or unstable


def _detach(package: Path, fleet: Fleet, settings: Bench, revive: Revive | None) -> int:
    """Start the benchmarks and leave them to the devices."""
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.pipeline import start_bench

    def work(device: Device, report: Report, cancellation: Cancellation) -> StartedJob:
        return start_bench(package, device, fleet.lab, settings, report, cancellation)

    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(
            fleet.devices, work, parallel=fleet.parallel, attempts=1, listen=listen, revive=revive
        )
    show_started([outcome.value for outcome in outcomes if outcome.value], failure_documents(outcomes))
    return exit_code_of(outcomes)


def show_started(started: list[StartedJob], failures: list[dict[str, Any]]) -> None:
    """Show the jobs that go on by themselves, and how to bring them home."""
    from dataclasses import asdict

    show_result(
        {"jobs": [asdict(job) for job in started], "failures": failures},
        *(f"{job.device}: benchmarking {job.name} as {job.job_id}" for job in started),
    )
    if started:
        named = " ".join(f"--device {job.device}" for job in started)
        note(f"Look: edgepack jobs {named}")
        note(f"Bring the records home: edgepack collect {named} --wait")
