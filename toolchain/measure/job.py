"""A benchmark as the host drives it: start the job, wait, bring its record home, acknowledge.

Rules:
    * The job is a process of its own on the device; it goes on when the link drops, and ends when the user
      gives up.
    * A record is acknowledged, and so deleted on the device, only after the host has kept it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edgepack.targets.errors import EdgepackError
from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.errors import AgentError, MeasurementError
from edgepack.toolchain.measure.messages import (
    JobAcknowledged,
    JobCancelled,
    JobEnded,
    JobStarted,
    RecordAnnounced,
)
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.packaging.manifest import Manifest
    from edgepack.toolchain.progress import Report

MAX_RECORD_BYTES = 256 << 20


@dataclass(frozen=True)
class BenchSpec:
    """What is measured, and when a window ends.

    Each configuration of batch, threads and delegate is measured in `windows` windows on different inputs. A
    window ends when `min_runs` and `min_seconds` are both reached, at the latest after `max_seconds`. Source: EEMBC
    EnergyRunner, README, "Performance": at least 10 seconds and 10 iterations, the median of five windows.

    Attributes: as in `results/job_record.py`.
    """

    batches: tuple[int, ...] = (1, 2, 4, 8)
    threads: tuple[int, ...] = (1, 2, 4)
    delegates: tuple[str, ...] = ("xnnpack",)
    quick: bool = False
    warmup_min_runs: int = 1
    warmup_min_seconds: float = 0.5
    warmup_max_seconds: float = 30.0
    windows: int = 5
    min_runs: int = 10
    min_seconds: float = 10.0
    max_seconds: float = 150.0
    memory: bool = True
    evaluation: bool = True
    profile: bool = False
    pin: tuple[int, ...] | None = None
    governor: str | None = None
    cool_to_c: float | None = None
    cool_timeout_seconds: float = 300.0
    power: str = "auto"


def start_job(session: AgentSession, manifest: Manifest, spec: BenchSpec) -> str:
    """Start a benchmark of an installed package and return its job id.

    Raises:
        MeasurementError: The device has another version of the package, or none.
        AgentError: The device is busy, or cannot run the benchmark.
    """
    current = {package.name: package.package_id for package in remote.installed(session)}.get(manifest.name)
    if current != manifest.package_id:
        found = f"version {current[:12]}" if current else "no version"
        message = (
            f"{session.device.name} has {found} of '{manifest.name}', expected {manifest.package_id[:12]}."
        )
        raise MeasurementError(
            message, remedy=f"Install it first: edgepack deploy PACKAGE --device {session.device.name}"
        )
    spec_fields = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(spec).items()}
    started = session.request(
        "bench.start", JobStarted, name=manifest.name, owner=remote.owner(), spec=spec_fields
    )
    return started.job_id


def wait_for_job(session: AgentSession, job_id: str, spec: BenchSpec, *, report: Report = silent) -> None:
    """Wait until a job has finished.

    Raises:
        AgentError: The job failed, was cancelled or is lost.
        NetworkError: The link failed; the job goes on, and its record can be brought home later.
    """
    silence_s = spec.max_seconds + spec.warmup_min_seconds + session.device.answer_timeout_s
    ended = session.request("jobs.wait", JobEnded, progress=report, timeout_s=silence_s, job_id=job_id)
    if ended.state != "finished":
        message = f"{session.device.name}: the benchmark {job_id} ended as '{ended.state}'."
        raise AgentError(message, remedy="Run the same command again.", code="job_failed")


def cancel_job(device: Device, lab: Lab, job_id: str) -> None:
    """End a job whose user has given up, over a connection of its own, so that the device is free again.

    A device that does not answer any more is left alone: its job ends by itself.
    """
    with suppress(EdgepackError), open_session(device, lab) as session:
        session.request("jobs.cancel", JobCancelled, job_id=job_id)


def fetch_record(session: AgentSession, job_id: str) -> bytes:
    """Return the bytes of a finished job's record, as the device sent them: still to be checked.

    Raises:
        AgentError: There is no such record, it is too large, or its hash is not the announced one.
    """
    announced = session.request("jobs.fetch", RecordAnnounced, job_id=job_id)
    if announced.size_bytes > MAX_RECORD_BYTES:
        message = f"{session.device.name} announces a record of {announced.size_bytes} bytes; at most"
        message += f" {MAX_RECORD_BYTES} are taken."
        raise AgentError(message, remedy="Measure fewer configurations in one run.")
    data = b"".join(session.fetch(announced.size_bytes))
    if (found := hashlib.sha256(data).hexdigest()) != announced.sha256:
        message = f"{session.device.name}: the record of {job_id} has SHA-256 {found[:12]},"
        message += f" announced was {announced.sha256[:12]}."
        raise AgentError(message, remedy="Run the same command again.", code="hash_mismatch")
    return data


def acknowledge(session: AgentSession, job_id: str) -> None:
    """Tell the device that the record is kept, so that it may delete its own."""
    session.request("jobs.ack", JobAcknowledged, job_id=job_id)
