"""The device agent as one file: a zipapp of the files in `device_agent/`, the same bytes every time.

Its name holds its own hash, so that a device that has the file has exactly this agent.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sys
    from collections.abc import Iterator

    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

PACKAGE = "edgepack_agent"
# Python keeps no compiled modules of a zip, so the first start unpacks it beside itself: every later one is
# faster, on a small board by seconds. Synced before it is renamed: a power cut leaves all or nothing. Where
# the folder cannot be written the zip itself runs.
_START = b"""import os
import sys

path = sys.path[0]
if path.endswith(".pyz"):
    folder = path[:-4]
    if not os.path.isdir(folder):
        import shutil
        import zipfile

        part = "%s.part-%d" % (folder, os.getpid())
        try:
            with zipfile.ZipFile(path) as agent:
                agent.extractall(part)
            os.sync()
            os.rename(part, folder)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
    if os.path.isdir(folder):
        sys.path[0] = folder

from edgepack_agent.__main__ import main

main()
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold


@dataclass(frozen=True)
class AgentBundle:
    """The agent, ready to be sent.

    Attributes:
        filename: `edgepack-agent-<sha256[:16]>.pyz`.
        sha256: SHA-256 of the bytes.
        data: The zipapp.
    """

    filename: str
    sha256: str
    data: bytes

    @property
    def agent_id(self) -> str:
        """What this agent calls itself in its greeting."""
        return self.sha256[:16]


@functools.cache
def agent_bundle() -> AgentBundle:
    """Return the agent that belongs to this edgepack."""
    files = dict(_sources(resources.files("edgepack.device_agent"), PACKAGE))
    files["__main__.py"] = _START
    buffer = io.BytesIO()
    # Stored: zlib's output differs between its versions, and the agent is sent once a device.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=_EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[path])
    data = buffer.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    return AgentBundle(f"edgepack-agent-{sha256[:16]}.pyz", sha256, data)


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield the agent's Python files; what lies beside them (documentation, firmware, caches) stays here."""
    for item in folder.iterdir():
        if item.is_dir() and item.name not in ("__pycache__", "firmware"):
            yield from _sources(item, f"{prefix}/{item.name}")
        elif item.name.endswith(".py"):
            yield f"{prefix}/{item.name}", item.read_bytes()
