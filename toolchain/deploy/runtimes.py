"""Which runtime a device gets, and the wheels that make it.

Rules:
    * What the device has already is used before anything is downloaded.
    * Wheels are chosen by what the device's system can load (`wheel_needs.py`), newest first; the agent runs
      a tiny model in the runtime before it counts as installed.
    * Where no ai-edge-litert fits, tflite-runtime stands in: it reads the same models, and the golden outputs
      decide on the device. A package index that cannot be reached is no reason for that.
    * The Interpreter of ai-edge-litert and of tflite-runtime imports nothing but NumPy; tflite-runtime needs
      one before version 2.
    * Where no wheel fits, the error lists every candidate with its reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgepack.toolchain.deploy.transfer import Blob, blob_of_file
from edgepack.toolchain.deploy.wheel_needs import misfit, version_key
from edgepack.toolchain.deploy.wheels import NoSuchWheelError, Wheel, WheelPlatform, fetch_wheel
from edgepack.toolchain.errors import DeployError
from edgepack.toolchain.packaging.manifest import RuntimeRequirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.toolchain.deploy.facts import Facts, RuntimeKind, SystemRuntime
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.deploy.messages import InstalledRuntime

SYSTEM = "system"
_PROJECTS: dict[RuntimeKind, str] = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
# Of another kind than the package asks for, with the oldest version that the quantizer's operators need.
_STAND_INS: dict[RuntimeKind, RuntimeRequirement] = {
    "litert": RuntimeRequirement(kind="tflite-runtime", min_version="2.13")
}
_NUMPY: dict[RuntimeKind, str] = {"litert": "numpy", "tflite-runtime": "numpy<2"}
_OLDEST_GLIBC_MINOR = 17
# Runtimes are judged by their symbols, so tags above the device's own glibc are looked at, too.
_NEWEST_GLIBC_MINOR = 44
_MAX_OLDER = 10
_BY_HAND = 'Install a runtime by hand and set runtime = "system" of the device in lab.toml.'
_MACHINES = ("x86_64", "aarch64", "armv7l")


class _NothingFitsError(DeployError):
    """The package index was asked, and none of its wheels fits."""


@dataclass(frozen=True)
class RuntimeChoice:
    """The runtime that a package will run with.

    Attributes:
        runtime_id: SHA-256 over the wheels, or "system".
        kind: "litert" or "tflite-runtime".
        version: Its version; None where the device does not say.
        numpy: NumPy's version; None where the device does not say.
        source: "installed" on the device before, "provisioned" now from `wheels`, or the "system"'s own.
        wheels: What is to be installed; empty unless provisioned.
        note: Why it is not the first choice; None where it is.
    """

    runtime_id: str
    kind: RuntimeKind
    version: str | None
    numpy: str | None
    source: Literal["installed", "provisioned", "system"]
    wheels: tuple[Wheel, ...] = ()
    note: str | None = None

    def blobs(self) -> list[Blob]:
        """Return the wheels as contents to be pushed."""
        return [blob_of_file(wheel.sha256, wheel.path, wheel.size_bytes) for wheel in self.wheels]


def choose_runtime(
    device: Device, facts: Facts, installed: Sequence[InstalledRuntime], required: RuntimeRequirement
) -> RuntimeChoice:
    """Choose the runtime for a package on a device, downloading wheels where there is none yet.

    Args:
        device: The device; `runtime = "system"` rules wheels out.
        facts: What the agent found out about it.
        installed: The runtimes that were provisioned on it before.
        required: What the package needs.

    Raises:
        DeployError: There is none; lists what was tried, with the reasons.
    """
    if device.runtime == SYSTEM:
        return _system(device, facts, required, note=None)
    try:
        return _wheels_of(device.name, facts, installed, required)
    except DeployError as err:
        if facts.system_runtime is not None and _serves(facts.system_runtime, required):
            return _system(device, facts, required, note=err.message)
        if isinstance(err, _NothingFitsError) and required.kind in _STAND_INS:
            return _stand_in(device.name, facts, installed, required, err)
        if facts.system_runtime is not None:  # it is not what is needed: the error tells both
            return _system(device, facts, required, note=err.message)
        raise


def _stand_in(
    name: str,
    facts: Facts,
    installed: Sequence[InstalledRuntime],
    required: RuntimeRequirement,
    refusal: DeployError,
) -> RuntimeChoice:
    """Return a runtime of another kind, which says why it is that."""
    try:
        choice = _wheels_of(name, facts, installed, _STAND_INS[required.kind])
    except _NothingFitsError as err:
        message = f"{refusal.message} {err.message}"
        raise DeployError(message, remedy=err.remedy) from refusal
    return replace(choice, note=refusal.message)


def _wheels_of(
    name: str, facts: Facts, installed: Sequence[InstalledRuntime], required: RuntimeRequirement
) -> RuntimeChoice:
    """Return the newest runtime of one kind that was provisioned before, else one to provision now."""
    fitting = [found for found in installed if _satisfies(found.kind, found.version, required)]
    if not fitting:
        return provision(name, facts, required)
    best = max(fitting, key=lambda found: version_key(found.version or ""))
    return RuntimeChoice(best.runtime_id, best.kind, best.version, best.numpy, "installed")


def provision(name: str, facts: Facts, required: RuntimeRequirement) -> RuntimeChoice:
    """Return wheels that a device can load, downloaded or from the cache.

    Args:
        name: The device's name, for errors.
        facts: What the agent found out about it.
        required: What the package needs.

    Raises:
        DeployError: No wheel fits, or the package index cannot be reached.
    """
    machine = _machine(name, facts)
    reasons: list[str] = []
    kind, platform = required.kind, _platform(facts, machine, _NEWEST_GLIBC_MINOR)
    for runtime in _fitting(_PROJECTS[kind], "", facts, platform, reasons):
        if not _satisfies(kind, runtime.version, required):
            reasons.append(f"{kind} {runtime.version}: the package needs {required.min_version} or later")
            break
        wheels = _with_numpy(kind, runtime, facts, machine, reasons)
        if wheels is not None:
            return _provisioned(kind, wheels, facts)
    message = f"No {kind} fits {name} (Python {facts.python.version}, {machine}): {'; '.join(reasons)}."
    raise _NothingFitsError(message, remedy=_remedy(kind, machine, facts))


def _remedy(kind: RuntimeKind, machine: str, facts: Facts) -> str:
    """Return what the user does about a device that no wheels fit."""
    if kind == "litert" and machine == "armv7l":
        return (
            "Build for a 32-bit target, whose runtime is tflite-runtime: `edgepack build --target rpi-armv7`."
        )
    if machine == "armv7l" and facts.system_numpy is None:
        return "Run `sudo apt install python3-numpy` on the device, then deploy again."
    return (
        'Install a newer system on the device, or a runtime by hand, and set runtime = "system" in lab.toml.'
    )


def _system(device: Device, facts: Facts, required: RuntimeRequirement, *, note: str | None) -> RuntimeChoice:
    found = facts.system_runtime
    needs = f"{required.kind} {required.min_version} or later"
    if found is not None and _serves(found, required):
        return RuntimeChoice(SYSTEM, found.kind, found.version, found.numpy, "system", note=note)
    has = f"{found.kind} {found.version or 'of unknown version'}" if found else "no runtime"
    message = f"{device.name}: the Python at '{device.python}' has {has}; the package needs {needs}."
    if note:
        message += f" {note}"
    remedy = f"Install one in that Python, or set runtime = \"auto\" of '{device.name}' in lab.toml."
    raise DeployError(message, remedy=remedy)


def _serves(found: SystemRuntime, required: RuntimeRequirement) -> bool:
    """Return whether the system's runtime is what a package asks for, or what may stand in for it."""
    wanted = (required, _STAND_INS.get(required.kind))
    return any(each and _satisfies(found.kind, found.version, each) for each in wanted)


def _satisfies(kind: str, version: str | None, required: RuntimeRequirement) -> bool:
    """Return whether a runtime is what a package asks for."""
    is_new_enough = version is None or version_key(version) >= version_key(required.min_version)
    return kind == required.kind and is_new_enough


def _machine(name: str, facts: Facts) -> str:
    """Return the machine as wheels name it."""
    machine = (
        "armv7l" if facts.python.bits == 32 and facts.machine in ("aarch64", "armv8l") else facts.machine
    )
    if facts.libc.kind == "glibc" and machine in _MACHINES:
        return machine
    if facts.libc.kind != "glibc":
        names = {"musl": "musl (Alpine)", "bionic": "Android's bionic"}
        library = names.get(facts.libc.kind or "", "an unknown C library")
        message = f"{name} has {library}; runtimes come as wheels for glibc only."
        raise DeployError(message, remedy=_BY_HAND)
    message = f"{name} is a '{machine}'; runtimes come as wheels for {', '.join(_MACHINES)} only."
    raise DeployError(message, remedy='Install a runtime by hand and set runtime = "system".')


def _platform(facts: Facts, machine: str, newest_minor: int) -> WheelPlatform:
    """Return the platform of a device's wheels, up to a minor version of glibc 2."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest_minor, _OLDEST_GLIBC_MINOR - 1, -1)]
    python = ".".join(facts.python.version.split(".")[:2])
    # linux_armv7l is what package indexes for the Raspberry Pi use, which a user's pip may know.
    return WheelPlatform(python, facts.python.abi, (*tags, f"manylinux2014_{machine}", f"linux_{machine}"))


def _fitting(
    project: str, bound: str, facts: Facts, platform: WheelPlatform, reasons: list[str]
) -> Iterator[Wheel]:
    """Yield wheels that a device can load, newest first; note why others cannot."""
    requirement = f"{project}{bound}"
    for _ in range(_MAX_OLDER):
        try:
            wheel = fetch_wheel(requirement, platform)
        except NoSuchWheelError:
            reasons.append(f"{requirement}: no wheel for Python {platform.python} on {platform.tags[-1]}")
            return
        reason = misfit(wheel.needs, facts)
        if reason is None:
            yield wheel
        else:
            reasons.append(f"{project} {wheel.version}: {reason}")
        requirement = f"{project}<{wheel.version}"


def _with_numpy(
    kind: RuntimeKind, runtime: Wheel, facts: Facts, machine: str, reasons: list[str]
) -> tuple[Wheel, ...] | None:
    """Return a runtime's wheel with NumPy's; alone where only the device's own NumPy will do; or None."""
    newest_minor = version_key(facts.libc.version or "2.17")[1]
    platform = _platform(facts, machine, max(newest_minor, _OLDEST_GLIBC_MINOR))
    project, _, bound = _NUMPY[kind].partition("<")
    numpy = next(_fitting(project, f"<{bound}" if bound else "", facts, platform, reasons), None)
    if numpy is not None:
        return (runtime, numpy)
    own = facts.system_numpy
    if own and (kind == "litert" or version_key(own) < (2,)):
        return (runtime,)
    return None


def _provisioned(kind: RuntimeKind, wheels: tuple[Wheel, ...], facts: Facts) -> RuntimeChoice:
    lines = sorted(f"{wheel.filename} {wheel.sha256}\n" for wheel in wheels)
    runtime_id = hashlib.sha256("".join(lines).encode()).hexdigest()
    numpy = wheels[1].version if len(wheels) > 1 else facts.system_numpy
    return RuntimeChoice(runtime_id, kind, wheels[0].version, numpy, "provisioned", wheels)
