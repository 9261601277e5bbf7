"""Deploying a package to one device: plan, push, provision the runtime, install.

The device installs by content and moves to the new version by one rename, after its own check of the golden
outputs; whatever fails before leaves the old version current.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.contention import RESPECT, Contention, when_free
from edgepack.toolchain.deploy.fitness import require_fit
from edgepack.toolchain.deploy.messages import Installation, InstalledRuntime
from edgepack.toolchain.deploy.plan import DeployPlan, plan_deployment
from edgepack.toolchain.deploy.transfer import push
from edgepack.toolchain.packaging.archive import open_package
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.deploy.messages import GoldenResult
    from edgepack.toolchain.deploy.runtimes import RuntimeChoice
    from edgepack.toolchain.progress import Report


@dataclass(frozen=True)
class Deployment:
    """A package that is installed on a device.

    Attributes:
        device: Name of the device.
        name: Name of the package.
        package_id: SHA-256 of its manifest.
        previous: The version that `edgepack rollback` returns to; None where there is none.
        already_installed: Whether this very version was current before.
        runtime: What it runs with.
        golden: How near the device came to the golden outputs.
        sent_bytes: What was sent over the link.
        connect_s: Seconds to connect and start the agent.
        push_s: Seconds to plan and send.
        install_s: Seconds to provision the runtime, install and check.
    """

    device: str
    name: str
    package_id: str
    previous: str | None
    already_installed: bool
    runtime: RuntimeChoice
    golden: GoldenResult
    sent_bytes: int
    connect_s: float
    push_s: float
    install_s: float


def deploy(
    path: Path,
    device: Device,
    lab: Lab,
    *,
    signers: str | None = None,
    report: Report = silent,
    cancellation: Cancellation | None = None,
    contention: Contention = RESPECT,
) -> Deployment:
    """Install a package on a device.

    Args:
        path: The `.epk` file.
        device: The device.
        lab: The inventory that it is part of.
        signers: The keys to be trusted by a device that trusts none yet, in OpenSSH's ALLOWED SIGNERS format.
        report: Told "connect", "plan", "push", then the agent's own stages.
        cancellation: Ends the work from another thread.
        contention: What to do where somebody else works on the device.

    Raises:
        PackageError: The package is malformed or unsigned.
        NetworkError: The device does not answer, or the link failed; another call goes on from there.
        DeployError: The device refused the login, or has no Python or no runtime.
        AgentError: The device refused the package; its old version is still current.
    """
    with open_package(path) as package:
        started = time.monotonic()
        report("connect", 0, 1)
        with open_session(device, lab, cancellation=cancellation) as session:
            connected = time.monotonic()
            require_fit(session, contention, measuring=False)
            plan = plan_deployment(session, package, signers=signers, report=report)
            sent_bytes = push(session, plan.need, report=report)
            pushed = time.monotonic()
            done = install(session, plan, report=report, contention=contention)
            return Deployment(
                device=device.name,
                name=done.name,
                package_id=done.package_id,
                previous=done.previous,
                already_installed=done.already_installed,
                runtime=plan.runtime,
                golden=done.golden,
                sent_bytes=sent_bytes,
                connect_s=connected - started,
                push_s=pushed - connected,
                install_s=time.monotonic() - pushed,
            )


def plan_deploy(path: Path, device: Device, lab: Lab, *, signers: str | None = None) -> DeployPlan:
    """Return what `deploy` would do, changing nothing on the device but the agent's own file."""
    with open_package(path) as package, open_session(device, lab) as session:
        return plan_deployment(session, package, signers=signers)


def install(
    session: AgentSession, plan: DeployPlan, *, report: Report = silent, contention: Contention = RESPECT
) -> Installation:
    """Install a package whose contents the device has.

    Raises:
        AgentError: The runtime cannot be loaded, the device refused the package, or somebody works on it.
        NetworkError: The link failed.
    """
    if plan.signers is not None:
        remote.set_allowed_signers(session, plan.signers)
    lease: dict[str, Any] = {"owner": remote.owner(), **contention.fields}
    if plan.runtime.wheels:
        wheels = [{"filename": wheel.filename, "sha256": wheel.sha256} for wheel in plan.runtime.wheels]
        runtime: dict[str, Any] = {"runtime_id": plan.runtime.runtime_id, "kind": plan.runtime.kind}
        when_free(
            session,
            contention,
            lambda: session.request(
                "runtime.install", InstalledRuntime, progress=report, wheels=wheels, **runtime, **lease
            ),
            report=report,
        )
    contents: dict[str, Any] = {"manifest": plan.manifest_sha256, "signature": plan.signature_sha256}
    return when_free(
        session,
        contention,
        lambda: session.request(
            "install",
            Installation,
            progress=report,
            **contents,
            runtime=plan.runtime.runtime_id,
            **lease,
        ),
        report=report,
    )
