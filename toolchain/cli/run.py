"""`edgepack run [MODEL]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.bench import show_started
from edgepack.toolchain.cli.bench_options import (
    bench_options,
    settings_from,
    stability_exit_code,
    tell_estimate,
)
from edgepack.toolchain.cli.build import build_options
from edgepack.toolchain.cli.devices_options import (
    contention_options,
    device_options,
    exit_code_of,
    failure_documents,
    fleet_rows,
    reviver,
)
from edgepack.toolchain.cli.output import json_option, note, progress, show_result, warn

if TYPE_CHECKING:
    from edgepack.targets.errors import EdgepackError
    from edgepack.toolchain.api import Fleet
    from edgepack.toolchain.build import Build
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.fleet import Revive
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.progress import Report


@click.command(name="run", short_help="Build, deploy, bench and report: the main job.")
@click.argument("model", required=False)
@build_options
@device_options
@bench_options("--batches")
@click.option("--detach", is_flag=True, help="Start the benchmarks and return; `collect` brings them home.")
@contention_options
@click.option(
    "--report",
    "report_folder",
    type=click.Path(path_type=Path),
    help="The folder for the report. [default: report]",
)
@json_option
def command(
    model: str | None,
    targets: tuple[str, ...],
    precisions: tuple[str, ...],
    project: Path | None,
    devices: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    lab: Path | None,
    jobs: int | None,
    detach: bool,
    wait: float,
    steal: str | None,
    no_power_cycle: bool,
    report_folder: Path | None,
    **given: Any,  # noqa: ANN401 - the options of build_options and bench_options
) -> int:
    """Do the whole job: build MODEL, deploy the packages, measure them, write the report.

    What is not given on the command line comes from edgepack.toml.
    """
    from edgepack.toolchain.api import BuildOptions, plan_builds, run_on, select_fleet
    from edgepack.toolchain.build import build
    from edgepack.toolchain.project import load_project
    from edgepack.toolchain.report.profile_tables import profile_tables
    from edgepack.toolchain.report.tables import results_table
    from edgepack.toolchain.report.write import write_reports

    settings, require_stable = settings_from(given, project=project, wait=wait, steal=steal)
    requests = plan_builds(
        model, targets=targets, precisions=precisions, project=project, options=BuildOptions(**given)
    )
    fleet = select_fleet(
        names=devices, groups=groups, everything=everything, lab=lab, jobs=jobs, project=project
    )
    if detach and len(requests) > 1:
        raise _one_at_a_time(len(requests))
    tell_estimate(settings, packages=len(requests))
    builds = []
    for request in requests:
        with progress(f"{request.name} {request.precision} for {request.target.name}") as report:
            builds.append(build(request, report))
        for warning in builds[-1].warnings:
            warn(warning)
    revive = reviver(fleet, no_power_cycle)
    if detach:
        return _detach(builds[0], fleet, settings, revive)
    with fleet_rows(fleet) as listen:
        done = run_on(builds, fleet, settings, listen=listen, revive=revive)
    summaries = [each.summary for each in builds]
    loaded = load_project(project)
    folder = report_folder or loaded.folder / loaded.settings.report.output
    files = write_reports(folder, done.records, summaries) if done.records else []
    show_result(
        {
            "packages": [{"package": str(each.package), **each.summary.to_dict()} for each in builds],
            "runs": [record.model_dump(mode="json") for record in done.records],
            "failures": failure_documents(done.outcomes),
            "files": [str(path) for path in files],
        },
        results_table(done.records, summaries),
        *profile_tables(done.records, [each.package for each in builds]),
    )
    for path in files:
        note(f"Wrote {path}")
    unstable = stability_exit_code(done.records) if require_stable else 0
    return exit_code_of(done.outcomes) or unstable


def _one_at_a_time(packages: int) -> EdgepackError:
    from edgepack.toolchain.errors import MeasurementError

    message = f"--detach starts one benchmark a device; {packages} packages were asked for."
    remedy = (
        "Name one: --target and --precision; or deploy them, and `edgepack bench PACKAGE --detach` in turn."
    )
    return MeasurementError(message, remedy=remedy)


def _detach(built: Build, fleet: Fleet, settings: Bench, revive: Revive | None) -> int:
    """Deploy the package, start the benchmarks and leave them to the devices."""
    from edgepack.toolchain.api import signers_for
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.pipeline import StartedJob, deploy_and_start

    def work(device: Device, report: Report, cancellation: Cancellation) -> StartedJob:
        signers = signers_for(device)
        return deploy_and_start(built.package, device, fleet.lab, settings, signers, report, cancellation)

    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(fleet.devices, work, parallel=fleet.parallel, listen=listen, revive=revive)
    show_started([outcome.value for outcome in outcomes if outcome.value], failure_documents(outcomes))
    return exit_code_of(outcomes)
