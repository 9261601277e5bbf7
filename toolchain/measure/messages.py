"""What the agent may answer about benchmark jobs (`device_agent/PROTOCOL.md`), checked before it is used.

The record of a job itself is checked where results are made (`results/job_record.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from edgepack.toolchain.deploy.facts import Count, Text
from edgepack.toolchain.deploy.messages import Message
from edgepack.toolchain.packaging.manifest import Name, Sha256

JobId = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$")]
JobState = Literal["running", "finished", "failed", "cancelled", "lost"]


class JobStarted(Message):
    """The answer to `bench.start`."""

    job_id: JobId


class JobEnded(Message):
    """The answer to `jobs.wait`."""

    state: JobState


class JobSummary(Message):
    """A job that the device knows."""

    job_id: JobId
    state: JobState
    name: Name
    owner: Text


class Jobs(Message):
    """The answer to `jobs.list`."""

    jobs: Annotated[list[JobSummary], Field(max_length=10_000)]


class RecordAnnounced(Message):
    """The answer to `jobs.fetch`: as many raw bytes follow."""

    size_bytes: Count
    sha256: Sha256


class JobAcknowledged(Message):
    """The answer to `jobs.ack`."""

    job_id: JobId


class JobCancelled(Message):
    """The answer to `jobs.cancel`."""

    job_id: JobId
    state: JobState
