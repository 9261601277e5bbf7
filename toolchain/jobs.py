"""The benchmarks that devices keep: list them, end them, bring their records home, remove what left none.

Rules:
    * A record is kept in the result store first, and only then may the device delete its own.
    * Whoever asks gets the jobs of the same user, from whichever machine they were started; those of others
      only when told so.
    * One job that cannot be brought home stops no other; it stays on its device.
"""

from __future__ import annotations

import getpass
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edgepack import __version__
from edgepack.targets.errors import EdgepackError
from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.errors import AgentError, NetworkError
from edgepack.toolchain.measure.device_package import DevicePackage, require_known_metric
from edgepack.toolchain.measure.job import (
    Left,
    acknowledge,
    await_end,
    end_job,
    fetch_record,
    job_failure,
    list_jobs,
)
from edgepack.toolchain.measure.quality import device_quality
from edgepack.toolchain.progress import silent
from edgepack.toolchain.results.from_job import RunContext, record_from_job
from edgepack.toolchain.results.job_record import parse_job_record
from edgepack.toolchain.results.metered import metered
from edgepack.toolchain.results.store import ResultStore
from edgepack.toolchain.results.window_record import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.measure.host_meter import HostMeter
    from edgepack.toolchain.measure.messages import JobSummary
    from edgepack.toolchain.packaging.archive import OpenPackage
    from edgepack.toolchain.progress import Report
    from edgepack.toolchain.results.schema import RunRecord

_SILENCE_S = 600.0
NO_RECORD = ("failed", "lost", "damaged")
"""States of a job whose record will never come: something went wrong."""


@dataclass(frozen=True)
class Home:
    """Where records go.

    Attributes:
        store: Path or URL of the result store.
        folder: The project's folder.
        metric: The project's own metric; None where it names none.
        accuracy: Whether accuracy is computed from what the device brought.
    """

    store: str
    folder: Path
    metric: str | None = None
    accuracy: bool = True


@dataclass(frozen=True)
class Choice:
    """Which jobs are meant.

    Attributes:
        job_ids: Only these; all where there are none.
        all_owners: Those of other users too.
        wait: Whether to wait for those that still run.
        clear_failed: Whether to remove those that left no record.
    """

    job_ids: tuple[str, ...] = ()
    all_owners: bool = False
    wait: bool = False
    clear_failed: bool = False

    def leaves(self, job: JobSummary) -> str | None:
        """Return why a job is left alone; None where it is meant."""
        if self.job_ids:
            return None if job.job_id in self.job_ids else "not asked for"
        if self.all_owners or job.owner.partition("@")[0] == getpass.getuser():
            return None
        return f"it belongs to {job.owner}"


@dataclass(frozen=True)
class Collected:
    """What came home from a device.

    Attributes:
        device: Its name.
        records: The runs, kept in the store.
        left: The jobs that stayed or were removed.
    """

    device: str
    records: tuple[RunRecord, ...]
    left: tuple[Left, ...]


def jobs_on(device: Device, lab: Lab, cancellation: Cancellation) -> list[JobSummary]:
    """Return the jobs that a device keeps, oldest first."""
    with open_session(device, lab, cancellation=cancellation) as session:
        return list_jobs(session)


def cancel_on(device: Device, lab: Lab, job_id: str, cancellation: Cancellation) -> str | None:
    """End a job and return its state; None where the device does not have it."""
    with open_session(device, lab, cancellation=cancellation) as session:
        if job_id not in {job.job_id for job in list_jobs(session)}:
            return None
        return end_job(session, job_id).state


def remove_on(
    device: Device, lab: Lab, job_id: str, cancellation: Cancellation, *, discard_record: bool
) -> str | None:
    """Remove an ended job from a device and return its last state; None where the device does not have it.

    Raises:
        AgentError: It still runs, or it has a record that was never brought home.
    """
    with open_session(device, lab, cancellation=cancellation) as session:
        state = {job.job_id: job.state for job in list_jobs(session)}.get(job_id)
        if state == "running":
            message = f"{device.name}: the job {job_id} still runs."
            raise AgentError(message, remedy=f"End it first: edgepack jobs cancel {job_id}")
        if state == "finished" and not discard_record:
            message = f"{device.name}: the job {job_id} has a record that was not brought home."
            remedy = "Bring it home with `edgepack collect`, or throw it away with --discard-record."
            raise AgentError(message, remedy=remedy)
        if state is not None:
            acknowledge(session, job_id)
        return state


def collect_from(
    device: Device,
    lab: Lab,
    home: Home,
    choice: Choice,
    report: Report = silent,
    cancellation: Cancellation | None = None,
) -> Collected:
    """Bring the records of a device home, keep them, and let the device delete them.

    Raises:
        NetworkError: The device does not answer, or the link failed; what came before is kept.
    """
    records: list[RunRecord] = []
    left: list[Left] = []
    with open_session(device, lab, cancellation=cancellation) as session:
        for job in list_jobs(session):
            if choice.leaves(job) == "not asked for":
                continue
            found = _collect_one(session, job, home, choice, report)
            if isinstance(found, Left):
                left.append(found)
            else:
                records.append(found)
    return Collected(device.name, tuple(records), tuple(left))


def _collect_one(
    session: AgentSession, job: JobSummary, home: Home, choice: Choice, report: Report
) -> RunRecord | Left:
    if reason := choice.leaves(job):
        return Left(job, reason)
    if job.state == "running" and not choice.wait:
        return Left(job, f"it still runs: {job.stage or 'starting'}")
    try:
        if job.state == "running":
            await_end(session, job.job_id, silence_s=_SILENCE_S, report=report)
        elif job.error is not None:
            raise job_failure(session.device.name, job.error.code, job.error.message, job.error.remedy)
        report(f"fetch {job.name}", 0, 1)
        package = DevicePackage(session, job.package_id)
        if home.accuracy:
            require_known_metric(package.manifest, home.metric)
        return bring_home(session, job.job_id, package, home, report=report)
    except NetworkError:
        raise
    except EdgepackError as err:
        return _left_behind(session, job, err, choice)


def _left_behind(session: AgentSession, job: JobSummary, error: EdgepackError, choice: Choice) -> Left:
    """Return a job that left no record, removed where that was asked for."""
    state = {each.job_id: each.state for each in list_jobs(session)}.get(job.job_id)
    removed = choice.clear_failed and state in (*NO_RECORD, "cancelled")
    if removed:
        acknowledge(session, job.job_id)
    return Left(job, error.message, None if state == "cancelled" else error, removed)


def bring_home(
    session: AgentSession,
    job_id: str,
    package: OpenPackage | DevicePackage,
    home: Home,
    *,
    package_sha256: str | None = None,
    meter: HostMeter | None = None,
    report: Report = silent,
) -> RunRecord:
    """Fetch the record of a finished job, keep it, and only then let the device delete its own.

    Args:
        session: The device's agent.
        job_id: The job.
        package: The package that it ran.
        home: Where the record goes.
        package_sha256: SHA-256 of the `.epk` file, where it is at hand.
        meter: What recorded the power of the device meanwhile, where the device did not.
        report: Is told of progress.

    Raises:
        AgentError: There is no such record, or it is not what it should be.
        ProjectError: The store cannot be written; the record stays on the device.
    """
    job = parse_job_record(fetch_record(session, job_id, report=report))
    if meter is not None:
        job = metered(job, meter)
    if not home.accuracy:
        job = job.model_copy(update={"evaluation": Unavailable(unavailable="collected without accuracy")})
    quality = device_quality(package, folder=home.folder) if home.accuracy else None
    context = _context(session.device, package_sha256)
    record = record_from_job(job, package.manifest, context, quality=quality)
    with closing(ResultStore(home.store)) as store:
        store.add(record)
    acknowledge(session, job_id)
    return record


def _context(device: Device, package_sha256: str | None) -> RunContext:
    emulated = device.emulated or (
        device.target is not None and find_target(device.target).link.kind == "emulated"
    )
    return RunContext(
        device_name=device.name,
        device_kind=device.kind,
        emulated=emulated,
        time=datetime.now(timezone.utc),
        tool_version=__version__,
        package_sha256=package_sha256,
    )
