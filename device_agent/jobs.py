"""Benchmarks as jobs: each a process of its own session that goes on when the link drops.

A job is the folder `jobs/<job_id>/`:
    job.json        what was asked, written before the process starts
    process.json    which process it is
    progress.json   how far it is
    log.txt         what it and its children print
    record.json     its result; or failure.json: why there is none; or the marker `cancelled`
The folder stays until the host has acknowledged it. Nothing about a job is kept in the agent's memory: any
later agent can wait for it, fetch its record or cancel it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from . import apps, process
from .children import agent_command
from .durable import CHUNK_BYTES, read_json, remove_tree, write_atomic, write_json
from .errors import AgentError
from .lease import acquire
from .protocol import JOB_ID, bad_request
from .runtimes import find_runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir

_POLL_S = 0.2
_STARTING_S = 10.0
_TERMINATE_S = 3.0


def start(work: WorkDir, *, name: str, spec: dict[str, Any], owner: str, agent: str) -> str:
    """Start the benchmark of an installed package; it holds the device's lease until it ends.

    Returns:
        The job's identity.

    Raises:
        AgentError: `busy`, `not_installed`, `runtime_missing` or `runtime_broken`.
    """
    lease = acquire(work, owner=owner, purpose=f"benchmarking {name}")
    job_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    folder = work.jobs / job_id
    try:
        package_id = apps.require_current(work, name)
        runtime_id = apps.version_note(work, name, package_id)["runtime"]
        if runtime_id is None:
            message = f"Nothing says with which runtime {name!r} was installed: its versions.json is damaged."
            raise AgentError("not_installed", message, "Install it again with `edgepack deploy`.")
        find_runtime(work, runtime_id)
        folder.mkdir(mode=0o700)
        order = {
            "job_id": job_id,
            "name": name,
            "owner": owner,
            "package_id": package_id,
            "runtime": runtime_id,
            "spec": spec,
            "agent": agent,
            "lease": lease.token,
        }
        write_json(folder / "job.json", order)
        pid = _spawn(work, folder, job_id)
    except BaseException:
        lease.release()
        remove_tree(folder)
        raise
    with contextlib.suppress(AgentError):  # a job that has ended already has given it back
        lease.hand_over(pid)
    return job_id


def _spawn(work: WorkDir, folder: Path, job_id: str) -> int:
    command = agent_command("job", "--work-dir", str(work.root), "--job", job_id)
    with open(folder / "log.txt", "ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    write_json(folder / "process.json", process.identify(child.pid))
    child.returncode = 0  # it outlives this process on purpose: no warning about it
    return child.pid


def state_of(folder: Path) -> str:
    """Return a job's state: `running`, `finished`, `failed`, `cancelled` or `lost`."""
    if _is_running(folder):  # to the very end: until then it holds the lease
        return "running"
    ends = (("record.json", "finished"), ("cancelled", "cancelled"), ("failure.json", "failed"))
    return next((state for name, state in ends if (folder / name).exists()), "lost")


def _is_running(folder: Path) -> bool:
    note = read_json(folder / "process.json")
    if isinstance(note, dict):
        return process.is_alive(note)
    try:  # started a moment ago, or never: the agent may have been killed right here
        return time.time() - (folder / "job.json").stat().st_mtime < _STARTING_S
    except OSError:
        return False


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
        state = state_of(folder)
        if (now := read_json(folder / "progress.json")) != told and isinstance(now, dict):
            progress(now["stage"], now["done"], now["total"])
            told = now
        if state != "running" or has_input():
            break
        time.sleep(_POLL_S)
    failure = read_json(folder / "failure.json") if state == "failed" else None
    return {"state": state, "error": failure} if failure else {"state": state}


def list_jobs(work: WorkDir) -> list[dict[str, Any]]:
    """Return every job whose record has not been acknowledged, oldest first."""
    jobs = []
    for folder in sorted(work.jobs.iterdir()):
        order = read_json(folder / "job.json")
        if JOB_ID.fullmatch(folder.name) and isinstance(order, dict):
            about = {key: order.get(key) for key in ("name", "owner", "package_id")}
            jobs.append({"job_id": folder.name, "state": state_of(folder), **about})
    return jobs


def fetch(work: WorkDir, job_id: str) -> dict[str, Any]:
    """Return size and hash of a job's record, and the open file as `body`.

    Raises:
        AgentError: `no_such_job`; the job's own failure; or `job_failed`: it has no record.
    """
    folder = _folder(work, job_id)
    try:
        body = open(folder / "record.json", "rb")  # noqa: SIM115 - handed to the caller
    except FileNotFoundError:
        raise _no_record(folder) from None
    digest = hashlib.sha256()
    while chunk := body.read(CHUNK_BYTES):
        digest.update(chunk)
    size = body.tell()
    body.seek(0)
    return {"size_bytes": size, "sha256": digest.hexdigest(), "body": body}


def ack(work: WorkDir, job_id: str) -> dict[str, Any]:
    """Delete a job that has ended: the host has its record.

    Raises:
        AgentError: `no_such_job`, or `bad_request`: it still runs.
    """
    folder = _folder(work, job_id)
    if state_of(folder) == "running":
        message = f"jobs.ack: the job {job_id} still runs."
        raise bad_request(message)
    gone = work.jobs / f".gone-{job_id}"
    folder.rename(gone)
    remove_tree(gone)
    return {"job_id": job_id}


def cancel(work: WorkDir, job_id: str) -> dict[str, Any]:
    """End a running job with all its processes. A job that has ended stays as it is.

    Raises:
        AgentError: `no_such_job`.
    """
    folder = _folder(work, job_id)
    note = read_json(folder / "process.json")
    if state_of(folder) == "running" and isinstance(note, dict) and process.is_alive(note):
        write_atomic(folder / "cancelled", b"")
        _end_group(note)
    return {"job_id": job_id, "state": state_of(folder)}


def _end_group(note: dict[str, Any]) -> None:
    """Ask the job's process group to end, then end it. The group is the job's own: it leads its session."""
    deadline = time.monotonic() + _TERMINATE_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(note["pid"], number)
        while process.is_alive(note) and time.monotonic() < deadline:
            time.sleep(0.02)
        deadline += _TERMINATE_S


def _folder(work: WorkDir, job_id: str) -> Path:
    folder = work.jobs / job_id
    if not (folder / "job.json").is_file():
        message = f"There is no job {job_id} on the device."
        raise AgentError("no_such_job", message, "List them with `edgepack collect --list`.")
    return folder


def _no_record(folder: Path) -> AgentError:
    state = state_of(folder)
    failure = read_json(folder / "failure.json")
    if state == "failed" and isinstance(failure, dict):
        return AgentError(failure["code"], failure["message"], failure["remedy"])
    if state == "running":
        return bad_request(f"jobs.fetch: the job {folder.name} still runs.")
    why = {
        "cancelled": "it was cancelled",
        "lost": "its process is gone (power was cut, memory ran out, or the disk was full)",
    }
    message = f"The job {folder.name} left no record: {why.get(state, state)}."
    return AgentError("job_failed", message, "Start it again with `edgepack bench`.")
