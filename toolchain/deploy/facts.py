"""What an agent found on its device, checked: the `facts` of `device_agent/PROTOCOL.md`.

`DeviceFacts` is what a record keeps, where any fact may be missing; `Facts` is what a deployment relies on.

Rules:
    * It comes from a device: hostile until checked, so every text and list is bounded.
    * A text holds no control characters: it is going to be shown in a terminal, which would obey them.
    * Unknown fields are ignored, as everywhere in the protocol; a fact that cannot be had is None, never 0.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_MAX_TEXT = 1024


def _printable(value: object) -> object:
    """Turn white space into spaces, and control, formatting and broken characters into U+FFFD."""
    if not isinstance(value, str):
        return value
    spaced = (" " if character.isspace() else character for character in value)
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in spaced)


def _shortened(value: object) -> object:
    return f"{value[: _MAX_TEXT - 1]}…" if isinstance(value, str) and len(value) > _MAX_TEXT else value


Text = Annotated[str, BeforeValidator(_printable), StringConstraints(max_length=_MAX_TEXT)]
Reason = Annotated[
    str, BeforeValidator(_printable), BeforeValidator(_shortened), StringConstraints(min_length=1)
]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$")]
Count = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
Positive = Annotated[int, Field(ge=1, le=1 << 20)]
RuntimeKind = Literal["litert", "tflite-runtime"]


class Checked(BaseModel):
    """A frozen value; unknown fields are ignored, infinities and NaN refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class PythonFacts(Checked):
    """The Python that the agent runs in."""

    version: Text | None = None
    executable: Text | None = None
    abi: Text | None = None
    bits: int | None = None


class LibcFacts(Checked):
    """The C library."""

    kind: Text | None = None
    version: Text | None = None


class CpuFacts(Checked):
    """The processor."""

    count: Positive | None = None
    available: Positive | None = None
    model: Text | None = None
    features: Annotated[list[Text], Field(max_length=1024)] | None = None


class MemoryFacts(Checked):
    """The memory."""

    total_bytes: Count | None = None
    available_bytes: Count | None = None


class Temperature(Checked):
    """A temperature in degrees Celsius."""

    name: Text
    value: float


class PowerSensorFacts(Checked):
    """A power sensor that the device has.

    Attributes:
        driver: What it is read through, such as "hwmon".
        name: What `--power` chooses it by.
        path: Where it is.
        covers: What its rail covers, and what it does not see; None where unknown.
        usable: Whether it can be read; None where that was not tried.
        reason: Why it cannot be read.
    """

    driver: Text
    name: Text | None = None
    path: Text | None = None
    covers: Text | None = None
    usable: bool | None = None
    reason: Reason | None = None


class DeviceFacts(Checked):
    """What the agent's `probe` found on a device; None for what cannot be had."""

    hostname: Text | None = None
    model: Text | None = None
    kernel: Text | None = None
    machine: Text | None = None
    python: PythonFacts | None = None
    libc: LibcFacts | None = None
    cpu: CpuFacts | None = None
    memory: MemoryFacts | None = None
    page_bytes: Count | None = None
    boot_id: Text | None = None
    firmware: Text | None = None
    microcode: Text | None = None
    governor: Text | None = None
    clocks_hz: Annotated[list[Count], Field(max_length=4096)] | None = None
    temperatures_c: Annotated[list[Temperature], Field(max_length=256)] | None = None
    power_sensors: Annotated[list[PowerSensorFacts], Field(max_length=256)] | None = None


class KnownPython(PythonFacts):
    """A Python that wheels can be chosen for: version, path, ABI tag such as "cp311", and 32 or 64 bits."""

    version: Version
    executable: Text
    abi: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
    bits: int


class KnownLibc(LibcFacts):
    """The C library whose symbols wheels must find; kind is "glibc", "musl", "bionic" or None."""

    version: Version | None = None


class LibstdcxxFacts(Checked):
    """The newest symbol versions that the device's C++ library offers, such as "3.4.30" and "1.3.13"."""

    glibcxx: Version | None = None
    cxxabi: Version | None = None


class DiskFacts(Checked):
    """The disk of the agent's folder."""

    free_bytes: Count | None = None


class ClockFacts(Checked):
    """The device's clock."""

    unix_ns: Count | None = None


class SystemRuntime(Checked):
    """The runtime that the device's own Python has."""

    kind: RuntimeKind
    version: Version | None = None
    numpy: Version | None = None


class Facts(DeviceFacts):
    """What a deployment relies on: the record's facts, with those that choose a runtime required."""

    machine: Text
    python: KnownPython
    libc: KnownLibc = KnownLibc()
    libstdcxx: LibstdcxxFacts | None = None
    cpu: CpuFacts = CpuFacts()
    memory: MemoryFacts = MemoryFacts()
    disk: DiskFacts = DiskFacts()
    clock: ClockFacts = ClockFacts()
    uid: Count | None = None
    ssh_keygen: Text | None = None
    system_runtime: SystemRuntime | None = None
    system_numpy: Version | None = None
