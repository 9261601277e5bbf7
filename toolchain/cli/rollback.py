"""`edgepack rollback NAME --device D`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgepack.toolchain.cli.devices_options import device_options, exit_code_of, failure_documents, fleet_rows
from edgepack.toolchain.cli.output import json_option, show_result

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.deploy.messages import RolledBack
    from edgepack.toolchain.progress import Report


@click.command(name="rollback", short_help="Return devices to the last good package.")
@click.argument("name")
@device_options
@json_option
def command(
    name: str,
    devices: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    lab: Path | None,
    jobs: int | None,
) -> int:
    """Return devices to the version of package NAME that was installed before the current one."""
    from edgepack.toolchain.api import select_fleet
    from edgepack.toolchain.deploy import remote
    from edgepack.toolchain.deploy.agent_session import open_session
    from edgepack.toolchain.deploy.fleet import run_fleet

    fleet = select_fleet(names=devices, groups=groups, everything=everything, lab=lab, jobs=jobs)

    def work(device: Device, report: Report, cancellation: Cancellation) -> RolledBack:
        with open_session(device, fleet.lab, cancellation=cancellation) as session:
            report("rollback", 0, 1)
            return remote.rollback(session, name)

    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(fleet.devices, work, parallel=fleet.parallel, listen=listen)
    done = [(outcome.device.name, outcome.value) for outcome in outcomes if outcome.value]
    show_result(
        {
            "rolled_back": [{"device": device, **value.model_dump()} for device, value in done],
            "failures": failure_documents(outcomes),
        },
        *(f"{device}: {value.name} is back at {value.package_id[:12]}" for device, value in done),
    )
    return exit_code_of(outcomes)
