"""`edgepack deploy PKG --device D`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.toolchain.cli.devices_options import (
    contention_of,
    contention_options,
    device_options,
    exit_code_of,
    failure_documents,
    fleet_rows,
    reviver,
)
from edgepack.toolchain.cli.output import json_option, show_result

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.execute import Deployment
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.progress import Report


@click.command(name="deploy", short_help="Install a package on devices.")
@click.argument("package", type=click.Path(path_type=Path))
@device_options
@click.option("--dry-run", is_flag=True, help="Show what would be sent and done, and do nothing.")
@click.option(
    "--attempts", type=click.IntRange(1, 20), default=3, show_default=True, help="Tries when a link fails."
)
@contention_options
@json_option
def command(
    package: Path,
    devices: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    lab: Path | None,
    jobs: int | None,
    dry_run: bool,
    attempts: int,
    wait: float,
    steal: str | None,
    no_power_cycle: bool,
) -> int:
    """Push PACKAGE to devices and install it there.

    Each device checks the signature and every hash, runs the golden inputs, and only then moves to the new
    version by one rename. Whatever fails before that leaves the old version as it was.
    """
    from edgepack.toolchain.api import select_fleet, signers_for
    from edgepack.toolchain.deploy.execute import deploy, plan_deploy
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.report.deploy_tables import (
        deploy_table,
        deployment_document,
        plan_document,
        plan_table,
    )

    fleet = select_fleet(names=devices, groups=groups, everything=everything, lab=lab, jobs=jobs)
    if dry_run:
        plans = [
            plan_deploy(package, device, fleet.lab, signers=signers_for(device)) for device in fleet.devices
        ]
        show_result([plan_document(plan) for plan in plans], plan_table(plans))
        return 0

    contention = contention_of(wait, steal)

    def work(device: Device, report: Report, cancellation: Cancellation) -> Deployment:
        signers = signers_for(device)
        return deploy(
            package,
            device,
            fleet.lab,
            signers=signers,
            report=report,
            cancellation=cancellation,
            contention=contention,
        )

    revive = reviver(fleet, no_power_cycle)
    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(
            fleet.devices, work, parallel=fleet.parallel, attempts=attempts, listen=listen, revive=revive
        )
    done = [outcome.value for outcome in outcomes if outcome.value]
    show_result(
        {
            "deployments": [deployment_document(deployment) for deployment in done],
            "failures": failure_documents(outcomes),
        },
        *([deploy_table(done)] if done else []),
    )
    return exit_code_of(outcomes)
