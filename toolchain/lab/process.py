"""Processes that outlive the command that started them, known again by process id, start time and boot.

Rules:
    * A process id alone says nothing: it is given to another process sooner or later. Only a process whose
      start time and boot are those that were written down is ever ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_POLL_S = 0.02


@dataclass(frozen=True)
class Process:
    """A process of this machine.

    Attributes:
        pid: Its id.
        start_ticks: When it started, in the kernel's clock ticks since boot.
        boot_id: Which boot of this machine that was.
    """

    pid: int
    start_ticks: int
    boot_id: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.boot_id == _boot_id() and _start_ticks(self.pid) == self.start_ticks

    def end(self, *, timeout_s: float = 10) -> None:
        """End it without asking, and wait until it is gone."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + timeout_s
        while self.is_alive and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)  # where it is a child of this very process
            time.sleep(_POLL_S)


def start_detached(argv: Sequence[str], *, folder: Path, log: Path) -> Process:
    """Start a program in a session of its own: it goes on when this process, or its terminal, ends.

    Args:
        argv: The program and its arguments.
        folder: Where it runs.
        log: Takes what it prints.
    """
    with log.open("ab") as output:
        started = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    ticks = _start_ticks(started.pid)
    started.returncode = 0  # nobody waits for it: that is not worth the warning of Python's
    return Process(started.pid, ticks or 0, _boot_id())


def _start_ticks(pid: int) -> int | None:
    """Return when a process started; None where there is none, or only its remains.

    Source: proc_pid_stat(5): field 3 is the state, field 22 the start time. The name may hold any character.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
