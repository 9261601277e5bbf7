"""What the agent may answer (`device_agent/PROTOCOL.md`), checked before anything uses it.

Rules:
    * A device is hostile until checked: types are strict, names and hashes have a form, lists have an end.
    * Unknown fields are ignored: a newer agent may say more.
    * What a device tells about itself is in `facts.py`; its texts hold nothing that a terminal would obey.
    * The messages of benchmarks are in `measure/messages.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from edgepack.toolchain.deploy.facts import Count, Facts, RuntimeKind, Temperature, Text, Version
from edgepack.toolchain.packaging.manifest import Name, Sha256

PROTOCOL = 1
MAX_LINE_BYTES = 1 << 20


class Message(BaseModel):
    """A frozen answer; strict about types, silent about fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Nothing(Message):
    """An answer that holds nothing to read."""


class Hello(Message):
    """The agent's greeting."""

    type: Literal["hello"]
    protocol: int
    agent: Text
    python: Version
    machine: Text
    pid: Count
    work_dir: Text


class Progress(Message):
    """How far a request has come."""

    id: int
    type: Literal["progress"]
    stage: Text
    done: Count
    total: Count


class Failure(Message):
    """Why a request failed."""

    id: int | None
    type: Literal["error"]
    code: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    message: Text
    remedy: Text


class Probe(Message):
    """The answer to `probe`."""

    facts: Facts


class MissingBlob(Message):
    """A content that the device lacks, and how much of it has arrived already."""

    sha256: Sha256
    offset_bytes: Count


class MissingBlobs(Message):
    """The answer to `blobs.missing`."""

    missing: list[MissingBlob]
    free_bytes: Count | None = None


class Stored(Message):
    """The answer to `blobs.put`."""

    stored: Count


class Signers(Message):
    """The answer to `trust.get`."""

    allowed_signers: Annotated[str, StringConstraints(max_length=MAX_LINE_BYTES)]


class InstalledRuntime(Message):
    """A runtime on the device."""

    runtime_id: Sha256
    kind: RuntimeKind
    version: Version | None = None
    numpy: Version | None = None


class Runtimes(Message):
    """The answer to `runtime.list`."""

    runtimes: Annotated[list[InstalledRuntime], Field(max_length=1024)]


class LeaseHolder(Message):
    """Who works on the device, and for how long; seconds."""

    owner: Text
    purpose: Text
    job_id: Text | None = None
    held_s: Annotated[float, Field(ge=0, le=1e9)] | None = None
    expires_s: Annotated[float, Field(le=1e9)] | None = None


class LeaseState(Message):
    """The answer to `lease.get`; None where the device is free."""

    lease: LeaseHolder | None = None


class ThrottlingNow(Message):
    """What slows the device down at this moment, by its firmware; such as "under-voltage"."""

    now: Annotated[list[Text], Field(max_length=32)]


class Health(Message):
    """The answer to `health`; None for what cannot be had."""

    lease: LeaseHolder | None = None
    free_bytes: Count | None = None
    unix_ns: Count | None = None
    throttling: ThrottlingNow | None = None
    temperatures_c: Annotated[list[Temperature], Field(max_length=256)] | None = None
    load_1min: Annotated[float, Field(ge=0, le=1e9)] | None = None


class FileAnnounced(Message):
    """The answer to `package.fetch` and `jobs.fetch`: as many raw bytes follow."""

    size_bytes: Count
    sha256: Sha256


class GoldenResult(Message):
    """How near the device came to the golden outputs."""

    cases: Count
    max_error: float
    unit: Literal["quantized_steps", "absolute"]
    tolerance: float
    top1_agreement: float | None = None


class Installation(Message):
    """The answer to `install`."""

    package_id: Sha256
    name: Name
    previous: Sha256 | None = None
    already_installed: bool
    golden: GoldenResult


class InstalledPackage(Message):
    """A package on the device; `runtime` is a runtime id or "system"."""

    name: Name
    package_id: Sha256
    previous: Sha256 | None = None
    runtime: Text
    target: Text
    precision: Text


class Installed(Message):
    """The answer to `installed`."""

    packages: Annotated[list[InstalledPackage], Field(max_length=10_000)]


class RolledBack(Message):
    """The answer to `rollback`."""

    name: Name
    package_id: Sha256
    previous: Sha256 | None = None


class Removed(Message):
    """The answer to `remove`."""

    name: Name
    freed_bytes: Count
