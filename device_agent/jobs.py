"""Benchmarks as jobs: each a process of its own session that goes on when the link drops.

A job is a folder (`job_folder.py`) that stays until the host has acknowledged it. The package that it
measures stays as long: a host that never saw the package needs it to read the record.
"""

from __future__ import annotations

import math
import os
import secrets
import subprocess
import time
from typing import TYPE_CHECKING, Any

from . import apps, job_folder, process, record_file
from .children import agent_command
from .durable import fsync_path, read_json, remove_tree, write_json
from .errors import AgentError
from .lease import acquire
from .package import MANIFEST_NAME
from .protocol import bad_request
from .runtimes import find_runtime
from .spec import configurations, kept_samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir
    from .lease import Claim

_POLL_S = 0.2
# Room for a record: what a sample takes, a window's states and power trace, and all the rest.
_SAMPLE_BYTES = 12
_WINDOW_BYTES = 48 << 10
_REST_BYTES = 1 << 20
_MAX_ROOM_BYTES = 256 << 20


def start(
    work: WorkDir,
    *,
    name: str,
    spec: dict[str, Any],
    claim: Claim,
    agent: str,
    tag: str | None = None,
    labels: dict[str, str] | None = None,
) -> str:
    """Start the benchmark of an installed package; it holds the device's lease until it ends.

    Args:
        work: The work directory.
        name: The package's name.
        spec: What is measured, checked.
        claim: Who asks, and whether the lease is stolen.
        agent: The agent's hash.
        tag: A name for the run.
        labels: Free pairs of the user, for the record.

    Returns:
        The job's identity.

    Raises:
        AgentError: `busy`, `not_installed`, `runtime_missing` or `runtime_broken`.
        OSError: No space is left for the record.
    """
    job_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    lease = acquire(work, claim, f"benchmarking {name}", job_id=job_id)
    folder = work.jobs / job_id
    try:
        package_id, runtime_id = _find(work, name)
        order = {
            "job_id": job_id,
            "name": name,
            "owner": claim.owner,
            "tag": tag,
            "labels": labels or {},
            "package_id": package_id,
            "runtime": runtime_id,
            "spec": spec,
            "agent": agent,
            "lease": lease.token,
            "created_unix_ns": time.time_ns(),
            "stolen_from": lease.stolen_from,
            "steal_reason": claim.steal_reason if lease.stolen_from else None,
        }
        folder.mkdir(mode=0o700)
        record_file.reserve(folder, _room_bytes(work, package_id, spec))
        write_json(folder / "job.json", order)
        job_folder.tell(folder, "starting", 0, 0)
        fsync_path(work.jobs)
        _spawn(work, folder, job_id, lease.hand_over)
    except BaseException:
        lease.release()
        remove_tree(folder)
        raise
    return job_id


def _find(work: WorkDir, name: str) -> tuple[str, str]:
    """Return the package in use under a name, and its runtime."""
    package_id = apps.require_current(work, name)
    runtime_id = apps.version_note(work, name, package_id)["runtime"]
    if runtime_id is None:
        message = f"Nothing says with which runtime {name!r} was installed: its versions.json is damaged."
        raise AgentError("not_installed", message, "Install it again with `edgepack deploy`.")
    find_runtime(work, runtime_id)
    return package_id, runtime_id


def _room_bytes(work: WorkDir, package_id: str, spec: dict[str, Any]) -> int:
    """Return an upper bound of a record's size; a record that outgrows it needs free space when it ends."""
    windows = len(configurations(spec)) * spec["windows"]
    window_bytes = kept_samples(spec) * _SAMPLE_BYTES + _WINDOW_BYTES
    outputs = 0
    manifest = read_json(work.store / package_id / MANIFEST_NAME)
    if spec["evaluation"] and isinstance(manifest, dict) and manifest["evaluation"]:
        values = sum(math.prod(output["shape"]) for output in manifest["outputs"])
        outputs = 12 * values * manifest["evaluation"]["count"]  # base64 of at most 8 bytes a value
    return int(min(windows * window_bytes + outputs + _REST_BYTES, _MAX_ROOM_BYTES))


def _spawn(work: WorkDir, folder: Path, job_id: str, hand_over: Callable[[int, str], None]) -> None:
    command = agent_command("job", "--work-dir", str(work.root), "--job", job_id)
    with open(folder / "log.txt", "ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    child.returncode = 0  # it outlives this process on purpose: no warning about it
    try:
        write_json(folder / "process.json", process.identify(child.pid))
    except OSError:
        process.end(process.identify(child.pid), group=True)
        raise
    try:
        hand_over(child.pid, job_id)
    except AgentError:
        return  # a job that has ended already has given it back; one whose lease was stolen finds out


def wait(
    work: WorkDir, job_id: str, progress: Callable[[str, int, int], None], has_input: Callable[[], bool]
) -> dict[str, Any]:
    """Wait until a job ends, telling how far it is; stop early when the host sends another request.

    Raises:
        AgentError: `no_such_job`.
        StoppedError: The host is gone.
    """
    folder = _folder(work, job_id)
    told: Any = None
    while True:
        state = job_folder.state_of(folder)
        if (now := read_json(folder / "progress.json")) != told and isinstance(now, dict):
            progress(now["stage"], now["done"], now["total"])
            told = now
        if state != "running" or has_input():
            break
        time.sleep(_POLL_S)
    failure = job_folder.failure_of(folder, state)
    if failure is None:
        return {"state": state}
    error = {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
    return {"state": state, "error": error}


def list_jobs(work: WorkDir) -> list[dict[str, Any]]:
    """Return every job that has not been acknowledged, oldest first."""
    described = (job_folder.describe(folder) for folder in job_folder.folders(work))
    return [job for job in described if job is not None]


def fetch(work: WorkDir, job_id: str) -> dict[str, Any]:
    """Return size and hash of a job's record, and the open file as `body`.

    Raises:
        AgentError: `no_such_job`; `damaged`; the job's own failure; or `job_failed`: it has no record.
    """
    folder = _folder(work, job_id)
    state = job_folder.state_of(folder)
    if state == "running":
        message = f"jobs.fetch: the job {folder.name} still runs."
        raise bad_request(message)
    if failure := job_folder.failure_of(folder, state):
        raise failure
    body, size_bytes, sha256 = record_file.open_record(folder)
    return {"size_bytes": size_bytes, "sha256": sha256, "body": body}


def ack(work: WorkDir, job_id: str) -> dict[str, Any]:
    """Delete a job that has ended: the host has its record.

    Raises:
        AgentError: `no_such_job`, or `bad_request`: it still runs.
    """
    folder = _folder(work, job_id)
    if job_folder.state_of(folder) == "running":
        message = f"jobs.ack: the job {job_id} still runs."
        raise bad_request(message)
    gone = work.jobs / f".gone-{job_id}"
    folder.rename(gone)
    fsync_path(work.jobs)
    remove_tree(gone)
    return {"job_id": job_id}


def cancel(work: WorkDir, job_id: str, owner: str) -> dict[str, Any]:
    """End a running job with all its processes. A job that has ended stays as it is.

    Raises:
        AgentError: `no_such_job`.
    """
    folder = _folder(work, job_id)
    note = read_json(folder / "process.json")
    if isinstance(note, dict) and process.is_alive(note):
        try:
            write_json(folder / "cancelled", {"by": owner})
        except OSError:
            os.close(os.open(folder / "cancelled", os.O_WRONLY | os.O_CREAT, 0o600))  # the disk is full
        process.end(note, group=True)
    return {"job_id": job_id, "state": job_folder.state_of(folder)}


def _folder(work: WorkDir, job_id: str) -> Path:
    folder = work.jobs / job_id
    if not (folder / "job.json").is_file():
        message = f"There is no job {job_id} on the device: it was collected, or removed."
        raise AgentError("no_such_job", message, "List the jobs with `edgepack jobs`.")
    return folder
