"""The benchmarks that devices keep, as a person reads them in the terminal, and as JSON values."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.measure.job import Left
    from edgepack.toolchain.measure.messages import JobSummary

_UNKNOWN = "—"
_STYLES = {"running": "cyan", "finished": "green", "failed": "red", "lost": "red", "damaged": "red"}


def jobs_table(jobs: Sequence[tuple[str, JobSummary]]) -> Table:
    """Return one row a job, each with the name of its device; below a job without a record, why."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "job", "package", "state", "progress", "record", "owner", "started"):
        table.add_column(heading, overflow="fold")
    for device, job in jobs:
        table.add_row(
            Text(device, style="cyan"),
            job.job_id,
            job.name,
            Text(job.state, style=_STYLES.get(job.state, "")),
            Text(_progress(job)),
            _UNKNOWN if job.record_bytes is None else format_bytes(job.record_bytes),
            Text(job.owner),
            _started(job),
        )
    return table


def _progress(job: JobSummary) -> str:
    if job.error is not None:
        return job.error.message
    if job.stage is None:
        return _UNKNOWN
    return f"{job.stage} ({job.done}/{job.total})" if job.total else job.stage


def _started(job: JobSummary) -> str:
    """Return when a job was started, by the device's clock."""
    if job.created_unix_ns is None:
        return _UNKNOWN
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_unix_ns / 1e9))
    except (OverflowError, ValueError, OSError):
        return _UNKNOWN


def left_table(left: Sequence[tuple[str, Left]]) -> Table:
    """Return one row a job that was not brought home, with the reason."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "job", "package", "state", ""):
        table.add_column(heading, overflow="fold")
    for device, each in left:
        reason = f"{each.reason} Removed." if each.removed else each.reason
        table.add_row(
            Text(device, style="cyan"), each.job.job_id, each.job.name, each.job.state, Text(reason)
        )
    return table


def job_document(device: str, job: JobSummary) -> dict[str, Any]:
    """Return a job as JSON values."""
    return {"device": device, **job.model_dump(mode="json")}


def left_document(device: str, left: Left) -> dict[str, Any]:
    """Return a job that was not brought home as JSON values."""
    error = left.error
    return {
        **job_document(device, left.job),
        "reason": left.reason,
        "removed": left.removed,
        "failed": error is not None,
        "remedy": error.remedy if error else None,
    }
