"""`edgepack jobs`, `jobs cancel` and `jobs remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.devices_options import device_options, exit_code_of, failure_documents, fleet_rows
from edgepack.toolchain.cli.output import json_option, note, show_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgepack.toolchain.api import Fleet
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device

_NOTHING = "No benchmark is kept on these devices."


@click.group(
    name="jobs", invoke_without_command=True, short_help="List, end and remove benchmarks that devices keep."
)
@device_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    devices: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    lab: Path | None,
    jobs: int | None,
) -> int:
    """List the benchmarks that run on devices, and those whose records were not brought home yet.

    Without --device: the devices of the project, else all of lab.toml.
    """
    ctx.obj = {"names": devices, "groups": groups, "everything": everything, "lab": lab, "jobs": jobs}
    return 0 if ctx.invoked_subcommand else _list(ctx.obj)


def _list(chosen: dict[str, Any]) -> int:
    from edgepack.toolchain.api import select_fleet
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.jobs import jobs_on
    from edgepack.toolchain.report.job_tables import job_document, jobs_table

    fleet = select_fleet(**chosen, or_all=True)
    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(
            fleet.devices,
            lambda device, _, cancellation: jobs_on(device, fleet.lab, cancellation),
            parallel=fleet.parallel,
            attempts=1,
            listen=listen,
        )
    found = [(outcome.device.name, job) for outcome in outcomes for job in outcome.value or []]
    show_result(
        {"jobs": [job_document(*each) for each in found], "failures": failure_documents(outcomes)},
        jobs_table(found) if found else _NOTHING,
    )
    if any(job.state == "finished" for _, job in found):
        note("Bring finished records home: edgepack collect")
    return exit_code_of(outcomes)


@command.command(name="cancel", short_help="End a running benchmark.")
@click.argument("job_id")
@device_options
@json_option
@click.pass_context
def cancel(ctx: click.Context, /, job_id: str, **given: Any) -> int:  # noqa: ANN401 - the options of device_options
    """End the benchmark JOB_ID on the device that runs it; its owner is told by whom."""
    from edgepack.toolchain.jobs import cancel_on

    def work(device: Device, fleet: Fleet, cancellation: Cancellation) -> str | None:
        return cancel_on(device, fleet.lab, job_id, cancellation)

    return _on_its_device(job_id, _chosen(ctx, given), work)


@command.command(name="remove", short_help="Remove a benchmark that left no record.")
@click.argument("job_id")
@click.option("--discard-record", is_flag=True, help="Also one whose record was never brought home.")
@device_options
@json_option
@click.pass_context
def remove(ctx: click.Context, /, job_id: str, discard_record: bool, **given: Any) -> int:  # noqa: ANN401 - the options of device_options
    """Remove the ended benchmark JOB_ID from its device."""
    from edgepack.toolchain.jobs import remove_on

    def work(device: Device, fleet: Fleet, cancellation: Cancellation) -> str | None:
        return remove_on(device, fleet.lab, job_id, cancellation, discard_record=discard_record)

    return _on_its_device(job_id, _chosen(ctx, given), work)


def _chosen(ctx: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Return the devices that are meant: named after the subcommand, else before it."""
    given = {"names": given.pop("devices"), **given}
    return given if any(given[key] for key in ("names", "groups", "everything", "lab")) else dict(ctx.obj)


def _on_its_device(
    job_id: str, chosen: dict[str, Any], work: Callable[[Device, Fleet, Cancellation], str | None]
) -> int:
    """Do something to a job on whichever device has it."""
    from edgepack.toolchain.api import select_fleet
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.errors import MeasurementError

    fleet = select_fleet(**chosen, or_all=True)
    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(
            fleet.devices,
            lambda device, _, cancellation: work(device, fleet, cancellation),
            parallel=fleet.parallel,
            attempts=1,
            listen=listen,
        )
    done = [(outcome.device.name, outcome.value) for outcome in outcomes if outcome.value]
    failures = failure_documents(outcomes)
    if not done and not failures:
        names = ", ".join(device.name for device in fleet.devices)
        message = f"No job {job_id} on {names}."
        raise MeasurementError(message, remedy="List the jobs: edgepack jobs")
    show_result(
        {
            "jobs": [{"device": d, "job_id": job_id, "state": state} for d, state in done],
            "failures": failures,
        },
        *(f"{device}: {job_id}: {state}" for device, state in done),
    )
    return 0 if done else exit_code_of(outcomes)
