"""Who a process is, so that a note about it stays true: a pid alone is reused, and lost at a reboot."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any


def boot_id() -> str:
    """Return what tells this start of the machine from every other; an empty string where unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """Return when a living process started, in clock ticks since boot; None where unknown or not alive.

    Source: proc(5), `/proc/[pid]/task/[tid]/stat` of the first thread, fields 3 (state) and 22
    (starttime). The name in field 2 may hold spaces and brackets, so fields are counted from the last
    bracket. It is not `/proc/[pid]/stat`, because QEMU's user-mode emulation invents another start time
    in it for a process that reads its own.
    """
    try:
        fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def identify(pid: int) -> dict[str, Any]:
    """Return a note by which `is_alive` recognizes a process later."""
    return {"pid": pid, "start_ticks": start_ticks(pid), "boot_id": boot_id()}


def is_alive(note: dict[str, Any]) -> bool:
    """Return whether the process of a note still runs on this boot of the machine."""
    pid = note.get("pid")
    if not isinstance(pid, int) or pid <= 1 or note.get("boot_id") != boot_id():
        return False
    if os.path.isdir("/proc/self"):
        return start_ticks(pid) is not None and start_ticks(pid) == note.get("start_ticks")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(note: dict[str, Any], *, group: bool, grace_s: float = 3.0) -> None:
    """Ask a process to end, and kill it where it does not.

    Args:
        note: Who it is.
        group: Whether its whole group is meant, which it leads.
        grace_s: How long each of the two signals may take.
    """
    if not is_alive(note):
        return  # its number may be another's by now
    for number in (signal.SIGTERM, signal.SIGKILL):
        if group or is_alive(note):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(note["pid"], number)
        deadline = time.monotonic() + grace_s
        while is_alive(note) and time.monotonic() < deadline:
            time.sleep(0.02)


def clock_ns() -> int:
    """Return nanoseconds on a clock that all processes of this boot share, and that never jumps.

    It stands still while the machine sleeps, as everybody on it does.
    """
    return time.monotonic_ns()
