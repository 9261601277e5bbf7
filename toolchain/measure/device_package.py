"""A package as the device that measured it hands it out, for a host that never saw it.

Rules:
    * The device is hostile until checked: the manifest must hash to the package's identity, every file to
      what the manifest says, and sizes are bounded before anything is read.
    * A package that comes from a device never decides which code runs here: a metric of the user's own
      (`module:function`) counts only where the host's own project names the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.messages import FileAnnounced
from edgepack.toolchain.errors import AgentError, MeasurementError
from edgepack.toolchain.packaging.manifest import (
    MANIFEST_NAME,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    Manifest,
    parse_manifest,
)

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.agent_session import AgentSession


class DevicePackage:
    """An installed package, read over a session.

    Args:
        session: The device's agent.
        package_id: The package's identity.

    Attributes:
        manifest: Its manifest, checked against the identity.
        path: What to call it in a message.

    Raises:
        AgentError: The device does not have it, or hands out something else.
    """

    def __init__(self, session: AgentSession, package_id: str) -> None:
        self._session = session
        self._package_id = package_id
        self.path = Path(f"{session.device.name}:{package_id[:12]}")
        data = self._fetch(MANIFEST_NAME, package_id, MAX_MANIFEST_BYTES)
        self.manifest: Manifest = parse_manifest(data, source=str(self.path))
        self._files = {entry.path: entry for entry in self.manifest.files}

    def read(self, name: str) -> bytes:
        """Return the verified content of a file that the manifest names.

        Raises:
            AgentError: There is no such file, or its content is not what the manifest says.
        """
        entry = self._files[name]
        return self._fetch(name, entry.sha256, min(entry.size_bytes, MAX_FILE_BYTES))

    def _fetch(self, path: str, sha256: str, max_bytes: int) -> bytes:
        announced = self._session.request(
            "package.fetch", FileAnnounced, package_id=self._package_id, path=path
        )
        if announced.size_bytes > max_bytes:
            raise self._wrong(path, f"{announced.size_bytes} bytes; at most {max_bytes} are allowed")
        data = b"".join(self._session.fetch(announced.size_bytes))
        if (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise self._wrong(path, f"SHA-256 {found[:12]}, expected {sha256[:12]}")
        return data

    def _wrong(self, path: str, what: str) -> AgentError:
        message = f"{self._session.device.name} hands out '{path}' of {self._package_id[:12]} with {what}."
        return AgentError(
            message, remedy="Deploy the package again, then measure again.", code="hash_mismatch"
        )


def require_known_metric(manifest: Manifest, own: str | None) -> None:
    """Make sure that a device's package does not choose code to run here.

    Args:
        manifest: The manifest that the device handed out.
        own: The metric of the host's own project; None where it names none.

    Raises:
        MeasurementError: The evaluation needs code of the user's that this project does not name.
    """
    metric = manifest.evaluation.metric if manifest.evaluation else ""
    if ":" in metric and metric != own:
        message = f"The accuracy of '{manifest.name}' is computed by your own '{metric}',"
        message += " which this folder's edgepack.toml does not name."
        remedy = "Run it in the project's folder, or leave accuracy out: edgepack collect --no-accuracy"
        raise MeasurementError(message, remedy=remedy)
