"""Deployments and plans of them, as a person reads them in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.deploy.execute import Deployment
    from edgepack.toolchain.deploy.plan import DeployPlan


def deploy_table(deployments: Sequence[Deployment]) -> Table:
    """Return one row a deployment."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "package", "runtime", "sent", "golden cases", "time", ""):
        table.add_column(heading, overflow="fold")
    for done in deployments:
        golden = done.golden
        check = f"{golden.cases} within {golden.max_error:g} of {golden.tolerance:g} {golden.unit}"
        seconds = done.connect_s + done.push_s + done.install_s
        state = "was installed already" if done.already_installed else "installed"
        table.add_row(
            Text(done.device, style="cyan"),
            f"{done.name} {done.package_id[:12]}",
            f"{done.runtime.kind} {done.runtime.version or ''}".strip(),
            format_bytes(done.sent_bytes),
            check,
            f"{seconds:.1f} s",
            state,
        )
    return table


def plan_table(plans: Sequence[DeployPlan]) -> Table:
    """Return one row a device: what a deployment would do."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "package", "now", "runtime", "to send", "of"):
        table.add_column(heading, overflow="fold")
    for plan in plans:
        table.add_row(
            Text(plan.device, style="cyan"),
            f"{plan.name} {plan.package_id[:12]}",
            (plan.current or "nothing")[:12],
            f"{plan.runtime.kind} {plan.runtime.version or ''}".strip(),
            format_bytes(plan.need.left_bytes),
            format_bytes(plan.total_bytes),
        )
    return table


def deployment_document(done: Deployment) -> dict[str, Any]:
    """Return a deployment as JSON values."""
    return {
        "device": done.device,
        "name": done.name,
        "package_id": done.package_id,
        "previous": done.previous,
        "already_installed": done.already_installed,
        "runtime": {
            "kind": done.runtime.kind,
            "version": done.runtime.version,
            "source": done.runtime.source,
        },
        "golden": done.golden.model_dump(mode="json"),
        "sent_bytes": done.sent_bytes,
        "connect_s": done.connect_s,
        "push_s": done.push_s,
        "install_s": done.install_s,
    }


def plan_document(plan: DeployPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {
        "device": plan.device,
        "name": plan.name,
        "package_id": plan.package_id,
        "current": plan.current,
        "runtime": {"kind": plan.runtime.kind, "version": plan.runtime.version},
        "send_bytes": plan.need.left_bytes,
        "total_bytes": plan.total_bytes,
    }
