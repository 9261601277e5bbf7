"""Where things lie in the agent's work directory, and how a killed agent's leftovers are removed.

    blobs/<sha256>            content that arrived; `<sha256>.part` while it arrives
    store/<package_id>/       an installed package: complete or absent, never half
    apps/<name>/current       link to the store: the version in use
    apps/<name>/versions.json the runtime and the predecessor of each version
    runtimes/<runtime_id>/    an unpacked runtime: `site/` and `runtime.json`
    jobs/<job_id>/            a benchmark: its order, progress and record
    trust/allowed_signers     whose packages this device accepts
    tmp/                      scratch of whoever holds the lease
    lease.json, lease.lock    who may change the device now (`lease.py`)
    governor.json             what a benchmark has to put back (`governor.py`)

Rules:
    * A folder under construction is called `<name>.new-<pid>`; it becomes `<name>` by one rename.
    * Only the holder of the lease (or of its guard) makes temporary names, so whoever takes over a
      stale lease may delete all of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .durable import remove_tree
from .errors import AgentError


@dataclass(frozen=True)
class WorkDir:
    """The agent's folder on the device.

    Attributes:
        root: Absolute path of the folder.
    """

    root: Path

    @property
    def blobs(self) -> Path:
        """Contents by their hash."""
        return self.root / "blobs"

    @property
    def store(self) -> Path:
        """Installed packages by their identity."""
        return self.root / "store"

    @property
    def apps(self) -> Path:
        """Installed packages by their name."""
        return self.root / "apps"

    @property
    def runtimes(self) -> Path:
        """Unpacked runtimes."""
        return self.root / "runtimes"

    @property
    def jobs(self) -> Path:
        """Benchmarks, running and ended."""
        return self.root / "jobs"

    @property
    def allowed_signers(self) -> Path:
        """The keys that this device trusts."""
        return self.root / "trust" / "allowed_signers"

    @property
    def tmp(self) -> Path:
        """Scratch space."""
        return self.root / "tmp"


def open_work_dir(path: str) -> WorkDir:
    """Make the work directory where it is absent, and return it.

    Raises:
        AgentError: The folder belongs to another user, who could then put files under our hands.
    """
    root = Path(os.path.abspath(os.path.expanduser(path)))
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = root.stat().st_uid
    if owner != os.getuid() and os.getuid() != 0:
        message = f"The work directory {root} belongs to user {owner}, not to the user who logged in."
        raise AgentError("io_error", message, "Set another `work_dir` for this device in lab.toml.")
    work = WorkDir(root)
    for folder in (work.blobs, work.store, work.apps, work.runtimes, work.jobs, work.tmp, root / "trust"):
        folder.mkdir(mode=0o700, exist_ok=True)
    return work


def heal(work: WorkDir) -> None:
    """Put right what a killed agent left. Call only with the lease, or its guard while nobody has it."""
    from .governor import put_back

    put_back(work)
    leftovers = [
        *work.store.glob("*.new-*"),
        *work.runtimes.glob("*.new-*"),
        *work.apps.glob(".gone-*"),
        *work.jobs.glob(".gone-*"),
        *(path for path in work.jobs.iterdir() if not (path / "job.json").exists()),  # never started
        *work.apps.glob("*/.new-*"),
        *work.tmp.iterdir(),
        *(work.root / "trust").glob(".new-*"),
        *work.root.glob(".new-*"),
    ]
    for path in leftovers:
        remove_tree(path)
