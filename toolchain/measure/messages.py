"""What the agent may answer about benchmark jobs (`device_agent/PROTOCOL.md`), checked before it is used.

The record of a job itself is checked where results are made (`results/job_record.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from edgepack.toolchain.deploy.facts import Count, Text
from edgepack.toolchain.deploy.messages import Message
from edgepack.toolchain.packaging.manifest import Name, Sha256

JobId = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$")]
JobState = Literal["running", "finished", "failed", "cancelled", "lost", "damaged"]


class JobError(Message):
    """Why a job has no record."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    message: Text
    remedy: Text


class JobStarted(Message):
    """The answer to `bench.start`."""

    job_id: JobId


class JobEnded(Message):
    """The answer to `jobs.wait`."""

    state: JobState
    error: JobError | None = None


class JobSummary(Message):
    """A job that the device knows.

    Attributes:
        job_id: Its identity.
        state: Where it stands; "lost" and "damaged" have no record any more.
        name: The package that it measures.
        owner: Who started it, as `user@host`.
        package_id: The package's identity.
        created_unix_ns: When, by the device's clock.
        tag: The name for the run.
        labels: The user's pairs.
        stage: What it does now; None where it does not run.
        done: How many steps are done.
        total: Of how many; 0 where that is not known.
        record_bytes: Size of its record; None where there is none.
        error: Why it has no record.
    """

    job_id: JobId
    state: JobState
    name: Name
    owner: Text
    package_id: Sha256
    created_unix_ns: Count | None = None
    tag: Text | None = None
    labels: Annotated[dict[Text, Text], Field(max_length=64)] | None = None
    stage: Text | None = None
    done: Count | None = None
    total: Count | None = None
    record_bytes: Count | None = None
    error: JobError | None = None


class Jobs(Message):
    """The answer to `jobs.list`."""

    jobs: Annotated[list[JobSummary], Field(max_length=10_000)]


class JobAcknowledged(Message):
    """The answer to `jobs.ack`."""

    job_id: JobId


class ClockRead(Message):
    """The answer to `clock`: CLOCK_MONOTONIC and Unix time of the agent's machine."""

    clock_ns: Count
    unix_ns: Count


class MeterStarted(Message):
    """The answer to `meter.start`.

    Attributes:
        name: The sensor's name, such as "ppk2".
        driver: What it is read through.
        covers: What it covers, and what it does not see.
    """

    name: Text
    driver: Text
    covers: Text


class MeterEnergy(Message):
    """The answer to `meter.energy`: one POWER value a span, checked where the record is made."""

    power: Annotated[list[dict[str, Any]], Field(max_length=64)]


class JobCancelled(Message):
    """The answer to `jobs.cancel`."""

    job_id: JobId
    state: JobState
