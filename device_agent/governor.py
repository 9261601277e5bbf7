"""The frequency governor: set for the length of a benchmark, and put back whatever happens.

Rules:
    * Before anything is changed, `governor.json` in the work directory says what was there. It is removed
      after that has been put back.
    * A watchdog, a process that waits on a pipe from the job, puts back when the job is gone, even after
      `kill -9`. Where it is gone too, the next agent or job does (`layout.heal`).
    * After a restart of the machine the kernel has its own governor again: the note is removed, nothing
      is written.
    * The note holds numbers of CPUs and names of governors, no paths: nobody can make it write elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import process
from .children import agent_command
from .durable import read_json, write_json
from .layout import WorkDir
from .sysfs import MACHINE, Sources, listing, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"[a-z][a-z_]{0,31}")
_NOTE = "governor.json"
_WATCHDOG_END_S = 10.0


@contextlib.contextmanager
def governor(work: WorkDir, name: str | None, sources: Sources = MACHINE) -> Iterator[str | None]:
    """Have a governor on every core for the length of a block.

    Args:
        work: The work directory.
        name: The governor; None to leave everything alone.
        sources: Where the kernel's files are.

    Yields:
        Why it could not be set; None where nothing was refused.
    """
    if name is None:
        yield None
        return
    if refusal := _cannot_have(name, sources):
        yield refusal
        return
    before = {number: found for number, path in _files(sources).items() if (found := text(path))}
    write_json(work.root / _NOTE, {**process.identify(os.getpid()), "governors": before})
    with _watchdog(work, sources):
        try:
            refusal = _write_all(dict.fromkeys(before, name), sources)
            if refusal:  # perhaps in the middle: half a governor is none
                put_back(work, sources, of=os.getpid())
            yield refusal
        finally:
            put_back(work, sources, of=os.getpid())


def put_back(work: WorkDir, sources: Sources = MACHINE, *, of: int | None = None) -> None:
    """Put back the governors that a benchmark found, unless it is still running.

    Args:
        work: The work directory.
        sources: Where the kernel's files are.
        of: The benchmark's process, when it has ended or ends now.

    What cannot be put back stays on the note for the next one to try.
    """
    path = work.root / _NOTE
    note = read_json(path)
    if not isinstance(note, dict):
        return
    if note.get("boot_id") == process.boot_id():
        if note.get("pid") != of and process.is_alive(note):
            return
        if _write_all(_names(note.get("governors")), sources):
            return
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def restore_at_end_of_input(request: dict[str, Any]) -> None:
    """Be the watchdog: wait until the pipe from the job closes, then put back what the job did not."""
    sys.stdin.read()
    sources = Sources(sys=Path(request["sys"]))
    put_back(WorkDir(Path(request["work"])), sources, of=request["pid"])


@contextlib.contextmanager
def _watchdog(work: WorkDir, sources: Sources) -> Iterator[None]:
    """Have a process that survives this one, in a session of its own: ending the job's must not end it."""
    null = subprocess.DEVNULL
    with subprocess.Popen(
        agent_command("child"), stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True
    ) as child:
        request = {"op": "restore", "work": str(work.root), "sys": str(sources.sys), "pid": os.getpid()}
        with contextlib.suppress(BrokenPipeError):
            if child.stdin:
                child.stdin.write(json.dumps(request).encode() + b"\n")
                child.stdin.flush()
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                if child.stdin:
                    child.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_WATCHDOG_END_S)
            if child.poll() is None:
                child.kill()


def _cannot_have(name: str, sources: Sources) -> str | None:
    files = _files(sources)
    if not files:
        return (
            f"the governor cannot be set: {sources.cpu} has no cpufreq (a virtual machine, or a fixed clock)"
        )
    for number, path in files.items():
        offered = (text(path.parent / "scaling_available_governors") or name).split()
        if name not in offered:
            return f"the governor cannot be set: CPU {number} has {', '.join(offered)}, not {name!r}"
    return None


def _files(sources: Sources) -> dict[str, Path]:
    paths = listing(sources.cpu, "cpu[0-9]*/cpufreq/scaling_governor")
    return {path.parent.parent.name[len("cpu") :]: path for path in paths}


def _write_all(names: dict[str, str], sources: Sources) -> str | None:
    """Write every core's governor, also after a refusal; return the first one."""
    refusal = None
    for number, name in names.items():
        path = sources.cpu / f"cpu{number}/cpufreq/scaling_governor"
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(name)
        except FileNotFoundError:
            continue  # the CPU was taken offline meanwhile
        except OSError as err:
            refusal = refusal or f"the governor cannot be set: {path}: {err.strerror}"
            continue
        if (found := text(path)) != name:
            refusal = refusal or f"the governor cannot be set: {path} stays {found!r}"
    return refusal


def _names(governors: Any) -> dict[str, str]:
    if not isinstance(governors, dict):
        return {}
    return {
        number: name
        for number, name in governors.items()
        if number.isdigit() and isinstance(name, str) and _NAME.fullmatch(name)
    }
