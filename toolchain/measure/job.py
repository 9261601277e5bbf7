"""A benchmark as the host drives it: start the job, wait, bring its record home, acknowledge.

Rules:
    * The job is a process of its own on the device; it goes on when the link drops, and ends when the user
      gives up.
    * A record is acknowledged, and so deleted on the device, only after the host has kept it.
    * A lost link is told with the command that brings the record home later.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from edgepack.targets.errors import EdgepackError
from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.contention import RESPECT, Contention, when_free
from edgepack.toolchain.deploy.messages import FileAnnounced
from edgepack.toolchain.errors import AgentError, JobGoesOnError, MeasurementError, NetworkError
from edgepack.toolchain.measure.host_meter import AT_HOST, meter_elsewhere
from edgepack.toolchain.measure.messages import (
    JobAcknowledged,
    JobCancelled,
    JobEnded,
    Jobs,
    JobStarted,
    JobSummary,
)
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.packaging.manifest import Manifest
    from edgepack.toolchain.progress import Report

MAX_RECORD_BYTES = 256 << 20
# Latency settles within seconds on most devices; the agent goes on for longer where it does not.
_USUAL_WARMUP_S = 1.0


@dataclass(frozen=True)
class BenchSpec:
    """What is measured, and when a window ends.

    Each configuration of batch, threads and delegate is measured in `windows` windows on different inputs. A
    window ends when `min_runs` and `min_seconds` are both reached, at the latest after `max_seconds`.
    Source: EEMBC EnergyRunner, README, "Performance": at least 10 seconds and 10 iterations, the median of
    five windows.

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

    @property
    def configurations(self) -> int:
        """Number of configurations."""
        return len(self.batches) * len(self.threads) * len(self.delegates)

    @property
    def estimate_s(self) -> float:
        """About how many seconds it takes on a device where nothing is slow: what is known beforehand."""
        windows_s = self.windows * self.min_seconds
        return self.configurations * (windows_s + max(self.warmup_min_seconds, _USUAL_WARMUP_S))


@dataclass(frozen=True)
class Request:
    """How a benchmark is started, beside what it measures.

    Attributes:
        tag: A name for the run.
        labels: Free pairs of the user, kept on the record.
        contention: What to do where somebody else works on the device.
    """

    tag: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    contention: Contention = RESPECT


@dataclass(frozen=True)
class Left:
    """A job that was not brought home.

    Attributes:
        job: The job.
        reason: Why.
        error: What went wrong; None where nothing did (it runs, or is another's).
        removed: Whether it was removed from the device.
    """

    job: JobSummary
    reason: str
    error: EdgepackError | None = None
    removed: bool = False


def start_job(
    session: AgentSession,
    manifest: Manifest,
    spec: BenchSpec,
    request: Request | None = None,
    *,
    report: Report = silent,
) -> str:
    """Start a benchmark of an installed package and return its job id.

    Raises:
        MeasurementError: The device has another version of the package, or none; or the host's power meter is
            asked for, and lab.toml names none.
        AgentError: The device is busy, or cannot run the benchmark.
    """
    request = request or Request()
    _require_installed(session, manifest)
    fields = {
        "name": manifest.name,
        "owner": remote.owner(),
        "tag": request.tag,
        "labels": dict(request.labels),
        "spec": spec_fields(spec, session.device),
        **request.contention.fields,
    }
    started = when_free(
        session,
        request.contention,
        lambda: session.request("bench.start", JobStarted, **fields),
        report=report,
    )
    return started.job_id


def _require_installed(session: AgentSession, manifest: Manifest) -> None:
    current = {package.name: package.package_id for package in remote.installed(session)}.get(manifest.name)
    if current != manifest.package_id:
        found = f"version {current[:12]}" if current else "no version"
        message = (
            f"{session.device.name} has {found} of '{manifest.name}', expected {manifest.package_id[:12]}."
        )
        raise MeasurementError(
            message, remedy=f"Install it first: edgepack deploy PACKAGE --device {session.device.name}"
        )


def spec_fields(spec: BenchSpec, device: Device) -> dict[str, Any]:
    """Return the `spec` of a request: with the power sensor that lab.toml names for the device.

    Raises:
        MeasurementError: The host's power meter is asked for, and lab.toml names none.
    """
    fields = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(spec).items()}
    if meter_elsewhere(device, spec.power):
        return {**fields, "power": AT_HOST}
    power = device.power
    if power is None or power.at != "device" or spec.power not in ("auto", power.sensor):
        return fields
    return {**fields, "power": power.sensor, "power_settings": dict(power.settings)}


def wait_for_job(session: AgentSession, job_id: str, spec: BenchSpec, *, report: Report = silent) -> None:
    """Wait until a job has finished.

    Raises:
        AgentError: The job failed, was cancelled or is lost.
        JobGoesOnError: The link failed; the job goes on, and its record can be brought home later.
    """
    silence_s = spec.max_seconds + spec.warmup_min_seconds + session.device.answer_timeout_s
    try:
        await_end(session, job_id, silence_s=silence_s, report=report)
    except NetworkError as err:
        raise _goes_on(session.device, job_id, err) from err


def await_end(session: AgentSession, job_id: str, *, silence_s: float, report: Report = silent) -> None:
    """Wait until a job has finished, however long the agent is silent for. Raises as `wait_for_job`."""
    ended = session.request("jobs.wait", JobEnded, progress=report, timeout_s=silence_s, job_id=job_id)
    if ended.error is not None:
        raise job_failure(session.device.name, ended.error.code, ended.error.message, ended.error.remedy)
    if ended.state != "finished":
        message = f"{session.device.name}: the benchmark {job_id} ended as '{ended.state}'."
        raise AgentError(message, remedy="Run the same command again.", code="job_failed")


def job_failure(device: str, code: str, message: str, remedy: str) -> AgentError:
    """Return the error of a job that left no record."""
    return AgentError(f"{device}: {message}", remedy=remedy, code=code)


def _goes_on(device: Device, job_id: str, cause: NetworkError) -> JobGoesOnError:
    """Return an error that is no `NetworkError`: another try would meet the job that goes on."""
    message = f"{cause.message.rstrip('.')}. The benchmark {job_id} goes on on {device.name}."
    remedy = f"Bring its record home later: edgepack collect --device {device.name} --wait"
    return JobGoesOnError(message, remedy=remedy)


def list_jobs(session: AgentSession) -> list[JobSummary]:
    """Return the jobs that the device keeps, oldest first."""
    return session.request("jobs.list", Jobs).jobs


def cancel_job(device: Device, lab: Lab, job_id: str) -> None:
    """End a job whose user has given up, over a connection of its own, so that the device is free again.

    A device that does not answer any more is left alone: its job ends by itself.
    """
    with suppress(EdgepackError), open_session(device, lab) as session:
        end_job(session, job_id)


def end_job(session: AgentSession, job_id: str) -> JobCancelled:
    """End a job and return its state: one that has finished stays so."""
    return session.request("jobs.cancel", JobCancelled, job_id=job_id, owner=remote.owner())


def fetch_record(session: AgentSession, job_id: str, *, report: Report = silent) -> bytes:
    """Return the bytes of a finished job's record, as the device sent them: still to be checked.

    Raises:
        AgentError: There is no such record, it is too large, or its hash is not the announced one.
    """
    announced = session.request("jobs.fetch", FileAnnounced, job_id=job_id)
    if announced.size_bytes > MAX_RECORD_BYTES:
        message = f"{session.device.name} announces a record of {announced.size_bytes} bytes; at most"
        message += f" {MAX_RECORD_BYTES} are taken."
        raise AgentError(message, remedy="Measure fewer configurations in one run.")
    data = b"".join(session.fetch(announced.size_bytes, progress=report))
    if (found := hashlib.sha256(data).hexdigest()) != announced.sha256:
        message = f"{session.device.name}: the record of {job_id} has SHA-256 {found[:12]},"
        message += f" announced was {announced.sha256[:12]}."
        raise AgentError(message, remedy="Run the same command again.", code="hash_mismatch")
    return data


def acknowledge(session: AgentSession, job_id: str) -> None:
    """Tell the device that the record is kept, or that there is none to keep: it deletes the job."""
    session.request("jobs.ack", JobAcknowledged, job_id=job_id)
