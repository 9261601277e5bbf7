"""The folder of a job, `jobs/<job_id>/`, and what can be told from it.

    job.json        what was asked, written before the process starts
    process.json    which process it is
    progress.json   how far it is
    log.txt         what it and its children print
    record.new      the room that was taken for the record; the record while it is written
    record          its result (`record_file.py`); or
    failure.json    why there is none; or
    cancelled       by whom it was cancelled

Nothing about a job is kept in an agent's memory: any later agent can tell all of this, and end the job.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from . import process, record_file
from .durable import overwrite_json, read_json, write_json
from .errors import AgentError
from .protocol import JOB_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .layout import WorkDir

_STARTING_S = 10.0


def state_of(folder: Path) -> str:
    """Return a job's state: `running`, `finished`, `failed`, `cancelled` or `lost`."""
    if _is_running(folder):  # to the very end: until then it holds the lease
        return "running"
    if record_file.recover(folder):
        return "finished"
    ends = (("cancelled", "cancelled"), ("failure.json", "failed"))
    return next((state for name, state in ends if (folder / name).exists()), "lost")


def _is_running(folder: Path) -> bool:
    note = read_json(folder / "process.json")
    if isinstance(note, dict):
        return process.is_alive(note)
    try:  # started a moment ago, or never: the agent may have been killed right here
        return time.time() - (folder / "job.json").stat().st_mtime < _STARTING_S
    except OSError:
        return False


def failure_of(folder: Path, state: str) -> AgentError | None:
    """Return why a job has no record; None while it runs, or where it has one."""
    if state in ("running", "finished"):
        return None
    why = read_json(folder / "failure.json")
    if state == "failed" and isinstance(why, dict):
        return AgentError(why["code"], why["message"], why["remedy"])
    note = read_json(folder / ("cancelled" if state == "cancelled" else "process.json"))
    if state == "cancelled":
        reason = f"it was cancelled by {note['by']}" if isinstance(note, dict) else "it was cancelled"
    elif isinstance(note, dict) and note.get("boot_id") != process.boot_id():
        reason = "the device was started anew meanwhile (its power was cut, or somebody rebooted it)"
    else:
        reason = "its process was killed (often by the kernel, out of memory)"
    message = f"The job {folder.name} left no record: {reason}."
    return AgentError("job_failed", message, "Start it again with `edgepack bench`.")


def describe(folder: Path) -> dict[str, Any] | None:
    """Return a job as `jobs.list` tells it; None where the folder holds none."""
    order = read_json(folder / "job.json")
    if not JOB_ID.fullmatch(folder.name) or not isinstance(order, dict):
        return None
    state = state_of(folder)
    failure = failure_of(folder, state)
    if state == "finished":
        try:
            record_file.open_record(folder)[0].close()
        except (AgentError, OSError) as err:
            state, failure = "damaged", err if isinstance(err, AgentError) else None
    progress = read_json(folder / "progress.json")
    told = progress if isinstance(progress, dict) and state == "running" else {}
    about = ("name", "owner", "package_id", "created_unix_ns", "tag", "labels")
    return {
        "job_id": folder.name,
        "state": state,
        **{key: order.get(key) for key in about},
        **{key: told.get(key) for key in ("stage", "done", "total")},
        "record_bytes": record_file.size_bytes(folder),
        "error": _value(failure) if failure else None,
    }


def folders(work: WorkDir) -> Iterator[Path]:
    """Return the folder of every job, oldest first."""
    yield from (path for path in sorted(work.jobs.iterdir()) if JOB_ID.fullmatch(path.name))


def measured_ids(work: WorkDir) -> set[str]:
    """Return the packages that a running job, or a record that nobody has acknowledged, refers to."""
    orders = [
        read_json(path / "job.json") for path in folders(work) if state_of(path) in ("running", "finished")
    ]
    return {order["package_id"] for order in orders if isinstance(order, dict)}


def tell(folder: Path, stage: str, done: int, total: int) -> None:
    """Tell how far a job is. A full disk must not end a benchmark over this."""
    try:
        overwrite_json(folder / "progress.json", {"stage": stage, "done": done, "total": total})
    except OSError:
        return


def fail(folder: Path, error: AgentError) -> None:
    """Keep why a job has no record, unless that is known already."""
    if not (folder / "failure.json").exists():
        write_json(folder / "failure.json", _value(error))


def end_for(folder: Path, reason: AgentError) -> None:
    """End a running job for a reason that its owner will be told."""
    note = read_json(folder / "process.json")
    if isinstance(note, dict) and process.is_alive(note):
        try:
            fail(folder, reason)
        finally:
            process.end(note, group=True)


def _value(error: AgentError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "remedy": error.remedy}
