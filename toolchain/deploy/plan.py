"""What a deployment will do to a device, found out before anything is done: the answer to `--dry-run`.

A plan changes nothing on the device.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.runtimes import RuntimeChoice, choose_runtime
from edgepack.toolchain.deploy.transfer import Blob, Need, blob_of_bytes, find_missing
from edgepack.toolchain.errors import DeployError
from edgepack.toolchain.packaging.manifest import CompiledCode
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.facts import Facts
    from edgepack.toolchain.packaging.archive import OpenPackage
    from edgepack.toolchain.progress import Report


@dataclass(frozen=True)
class DeployPlan:
    """What a deployment will do.

    Attributes:
        device: Name of the device.
        name: Name of the package.
        package_id: SHA-256 of its manifest.
        manifest_sha256: The manifest as a content; equals `package_id`.
        signature_sha256: The signature as a content.
        current: The package id that is installed under this name now; None where there is none.
        runtime: The runtime that the package will run with.
        need: What is to be sent, runtime included.
        total_bytes: What would be sent to a device that has nothing.
        signers: What to set as the device's allowed signers; None where it has some already.
        facts: What the device is and has.
    """

    device: str
    name: str
    package_id: str
    manifest_sha256: str
    signature_sha256: str
    current: str | None
    runtime: RuntimeChoice
    need: Need
    total_bytes: int
    signers: str | None
    facts: Facts

    @property
    def is_installed(self) -> bool:
        """Whether this very package is current on the device already."""
        return self.current == self.package_id


def plan_deployment(
    session: AgentSession, package: OpenPackage, *, signers: str | None = None, report: Report = silent
) -> DeployPlan:
    """Find out what a deployment will do.

    Args:
        session: The device's agent.
        package: The package.
        signers: The keys to be trusted by a device that trusts none yet, in OpenSSH's ALLOWED SIGNERS format.
        report: Told the stage.

    Raises:
        DeployError: There is no runtime for the device.
        AgentError: The device does not answer as it should.
        NetworkError: The link failed.
    """
    report("plan", 0, 3)
    required = package.manifest.runtime
    if isinstance(required, CompiledCode):
        message = f"'{package.manifest.name}' is C for {required.core}; '{session.device.name}' runs Linux."
        raise DeployError(
            message, remedy="Flash the image, or link the library: see docs/microcontrollers.md."
        )
    facts = remote.probe(session)
    report("plan", 1, 3)
    runtime = choose_runtime(session.device, facts, remote.runtimes(session), required)
    report("plan", 2, 3)
    signature_sha256 = hashlib.sha256(package.signature).hexdigest()
    blobs = [*_package_blobs(package, signature_sha256), *runtime.blobs()]
    installed = {found.name: found.package_id for found in remote.installed(session)}
    has_signers = signers is None or bool(remote.allowed_signers(session).strip())
    plan = DeployPlan(
        device=session.device.name,
        name=package.manifest.name,
        package_id=package.package_id,
        manifest_sha256=package.package_id,
        signature_sha256=signature_sha256,
        current=installed.get(package.manifest.name),
        runtime=runtime,
        need=find_missing(session, blobs),
        total_bytes=sum(blob.size_bytes for blob in {blob.sha256: blob for blob in blobs}.values()),
        signers=None if has_signers else signers,
        facts=facts,
    )
    report("plan", 3, 3)
    return plan


def _package_blobs(package: OpenPackage, signature_sha256: str) -> list[Blob]:
    """Return the manifest, the signature and the files of a package as contents."""
    files = [
        Blob(entry.sha256, entry.size_bytes, lambda path=entry.path: package.open(path))  # type: ignore[misc]
        for entry in package.manifest.files
    ]
    manifest = blob_of_bytes(package.package_id, package.manifest_bytes)
    return [manifest, blob_of_bytes(signature_sha256, package.signature), *files]
