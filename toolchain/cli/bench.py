"""`edgepack bench PKG --device D`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.devices_options import device_options, exit_code_of, failure_documents, fleet_rows
from edgepack.toolchain.cli.output import json_option, note, show_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.progress import Report
    from edgepack.toolchain.results.schema import RunRecord


def _numbers(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Read "1,2,4" as numbers."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as err:
        message = f"{value!r} is no list of numbers such as 1,2,4"
        raise click.BadParameter(message, param=parameter) from err


def bench_options(*batch_names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command every option that decides what is measured; `bench` and `run` share them.

    Args:
        *batch_names: Names of the option for batch sizes; in `run`, `--batch` is that of the model.
    """
    options = [
        click.option(*batch_names, "batches", callback=_numbers, help="Batch sizes. [default: 1,2,4,8]"),
        click.option("--threads", callback=_numbers, help="Numbers of threads. [default: 1,2,4]"),
        click.option("--min-runs", type=int, help="Fewest inferences in a window. [default: 50]"),
        click.option("--min-seconds", type=float, help="Shortest window. [default: 1.0]"),
        click.option("--max-seconds", type=float, help="Longest window. [default: 150]"),
        click.option("--memory/--no-memory", default=None, help="Measure peak memory, in a pass of its own."),
        click.option(
            "--accuracy/--no-accuracy", "evaluation_on", default=None, help="Measure accuracy on the device."
        ),
        click.option("--tag", help="A name for the runs."),
        click.option("--store", help="Path or URL of the result store. [default: .edgepack/results.sqlite]"),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command(name="bench", short_help="Measure an installed package on devices.")
@click.argument("package", type=click.Path(path_type=Path))
@device_options
@bench_options("--batch", "--batches")
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
    project: Path | None,
    **given: Any,  # noqa: ANN401 - the options of bench_options
) -> int:
    """Measure PACKAGE where it is installed: load, first inference, latency, throughput, memory, accuracy.

    Every configuration of batch and threads runs in a process of its own. Raw samples are kept.
    """
    from edgepack.toolchain.api import bench_settings, select_fleet
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.pipeline import bench_package
    from edgepack.toolchain.report.tables import results_table

    fleet = select_fleet(
        names=devices, groups=groups, everything=everything, lab=lab, jobs=jobs, project=project
    )
    settings = bench_settings(project=project, evaluation=given.pop("evaluation_on"), **given)

    def work(device: Device, report: Report, cancellation: Cancellation) -> RunRecord:
        return bench_package(package, device, fleet.lab, settings, report, cancellation)

    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(fleet.devices, work, parallel=fleet.parallel, attempts=1, listen=listen)
    records = [outcome.value for outcome in outcomes if outcome.value]
    documents = [record.model_dump(mode="json") for record in records]
    show_result(
        {"runs": documents, "failures": failure_documents(outcomes)},
        *([results_table(records)] if records else []),
    )
    if records:
        note(f"Kept in {settings.store}. Write a report: edgepack report --output report")
    return exit_code_of(outcomes)
