"""The way in: emulated devices are brought up, listed and taken down.

Rules:
    * `up` says how many devices of a kind there should be: those that run stay as they are, those that
      stopped go on with their disks, those that are missing are made.
    * A device is registered once it answers. One that does not come up is switched off; its files stay to be
      looked at, until `down` removes them.
    * One command at a time changes devices; another one waits.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.targets.errors import nearest
from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab import registration
from edgepack.toolchain.lab.cache import cache_dir, size_bytes
from edgepack.toolchain.lab.commands import BUILD_PROGRAMS, require_programs, require_root
from edgepack.toolchain.lab.disk import build_disk, disk_is_built
from edgepack.toolchain.lab.kernel import build_kernel, kernel_is_built
from edgepack.toolchain.lab.kinds import KINDS, find_kind
from edgepack.toolchain.lab.machine import ADDRESS, Machine
from edgepack.toolchain.lab.namespaces import PORT, Namespace, lab_network, remove_network
from edgepack.toolchain.lab.state import (
    EmulatedDevice,
    devices_dir,
    find_device,
    identity_path,
    load_devices,
    make_key,
)
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edgepack.toolchain.lab.kernel import Kernel
    from edgepack.toolchain.lab.kinds import Kind
    from edgepack.toolchain.progress import Report

_BOOT_AT_A_TIME = 4


@dataclass(frozen=True)
class Up:
    """A device that is up.

    Attributes:
        device: The device.
        boot_s: Seconds from its start until it answered; None where it was up already.
    """

    device: EmulatedDevice
    boot_s: float | None


@dataclass(frozen=True)
class Status:
    """What a device does and costs now.

    Attributes:
        device: The device.
        is_running: Whether its process is alive.
        memory_bytes: Memory that its process holds; None where it does not run.
        disk_bytes: Disk space of what is its own.
    """

    device: EmulatedDevice
    is_running: bool
    memory_bytes: int | None
    disk_bytes: int


def up(kind_name: str, *, size: int | None, inventory: Path, report: Report = silent) -> list[Up]:
    """Bring emulated devices up, and register them.

    Args:
        kind_name: "rpi64", "rpi32" or "fleet".
        size: How many devices of this kind there should be; None for the kind's own number.
        inventory: The `lab.toml` to register them in, made where there is none.
        report: Hears what is going on.

    Raises:
        MissingProgramError: A program or a right is missing.
        MirrorError: Debian's packages cannot be reached.
        ProjectError: The inventory has other devices of these names.
        LabError: A device cannot be built or does not start.
    """
    kind = find_kind(kind_name)
    size = kind.size if size is None else size
    if not 1 <= size <= kind.max_size:
        message = f"There can be 1 to {kind.max_size} devices of kind {kind.name}; {size} were asked for."
        raise LabError(message, remedy=f"edgepack lab up {kind.name} --size {kind.max_size}")
    require_what_is_needed(kind)
    names = [f"{kind.name}-{number}" for number in range(1, size + 1)]
    with _alone():
        known = {name: find_device(name) for name in names}
        for name in (name for name, device in known.items() if device is None):
            registration.require_name_is_free(inventory, name)
        make_key(identity_path(), "edgepack-lab")
        starter = _starter(kind, report)
        return _bring_up(
            [known[name] or _new(kind, name, inventory) for name in names], starter, inventory, report
        )


def require_what_is_needed(kind: Kind) -> None:
    """Check for programs and rights; for those of building only where something must be built.

    Raises:
        MissingProgramError: Something is missing.
    """
    what = f"`edgepack lab up {kind.name}`"
    if kind.needs_root:
        require_root(what)
    needs_build = kind.recipe is not None and not (disk_is_built(kind.recipe) and kernel_is_built())
    require_programs(what, [*kind.programs, *(BUILD_PROGRAMS if needs_build else ())])


def down(names: Iterable[str] = ()) -> list[EmulatedDevice]:
    """Take devices down: end them, take them out of their inventories, remove their disks.

    Args:
        names: The devices; none for all.

    Raises:
        LabError: There is no such device, or one cannot be ended.
    """
    with _alone():
        existing = {device.name: device for device in load_devices()}
        chosen = [_named(name, existing) for name in dict.fromkeys(names)] or list(existing.values())
        for device in chosen:
            _take_down(device)
        were_light = any(device.kind == "fleet" for device in chosen)
        if were_light and not any(device.kind == "fleet" for device in load_devices()):
            remove_network()
        return chosen


def purge() -> int:
    """Remove what was built for emulated devices, and return how many bytes that frees.

    Raises:
        LabError: A device still uses it.
    """
    with _alone():
        in_use = [device.name for device in load_devices() if KINDS[device.kind].recipe]
        if in_use:
            message = f"The built images are in use by {', '.join(in_use)}."
            raise LabError(message, remedy="edgepack lab down --purge")
        freed = size_bytes(cache_dir())
        shutil.rmtree(cache_dir(), ignore_errors=True)
        return freed


def statuses() -> list[Status]:
    """Return what all emulated devices do and cost now.

    Raises:
        LabError: The note of a device is damaged.
    """
    return [
        Status(device, device.is_running, _memory_bytes(device), size_bytes(device.folder))
        for device in load_devices()
    ]


def machine(name: str) -> Machine:
    """Return a device that is a whole machine, to cut its power, pull its cable or set its power sensor.

    Raises:
        LabError: There is no such machine.
    """
    device = _named(name, {device.name: device for device in load_devices() if KINDS[device.kind].recipe})
    return Machine(device)


@contextmanager
def _alone() -> Iterator[None]:
    devices_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
    with (devices_dir() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _named(name: str, existing: dict[str, EmulatedDevice]) -> EmulatedDevice:
    if name in existing:
        return existing[name]
    message = f"There is no emulated device '{name}'.{nearest(name, existing)}"
    remedy = (
        f"Emulated devices: {', '.join(existing)}." if existing else "Bring one up: edgepack lab up rpi64"
    )
    raise LabError(message, remedy=remedy)


def _new(kind: Kind, name: str, inventory: Path) -> EmulatedDevice:
    """Note a new device, with a host key of its own."""
    if kind.recipe is None:
        host, port = lab_network().address(int(name.rpartition("-")[2])), PORT
    else:
        host, port = ADDRESS, _free_port()
    device = EmulatedDevice(name, kind.name, kind.target, host, port, (str(inventory),), time.time())
    device.save()
    make_key(device.folder / "host_key", name)
    return device


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _starter(kind: Kind, report: Report) -> Callable[[EmulatedDevice], Machine | Namespace]:
    """Return what switches a device of a kind on; builds what that needs."""
    if kind.recipe is None:
        return lambda device: Namespace(device).start()
    kernel, disk = build_kernel(report), build_disk(kind.recipe, report)
    return lambda device: _start_machine(device, kernel, disk)


def _start_machine(device: EmulatedDevice, kernel: Kernel, disk: Path) -> Machine:
    machine = Machine(device)
    machine.prepare(disk, kernel)
    return machine.start(kernel)


def _bring_up(
    devices: list[EmulatedDevice],
    start: Callable[[EmulatedDevice], Machine | Namespace],
    inventory: Path,
    report: Report,
) -> list[Up]:
    """Start those that do not run, a few at a time, and register each once it answers."""
    done: list[Up] = []
    report("booting", 0, len(devices))
    with ThreadPoolExecutor(_BOOT_AT_A_TIME) as pool:
        pending = [pool.submit(_boot, device, start) for device in devices]
        try:
            for future in pending:
                started = future.result()
                registered = _also_in(started.device, inventory)
                registration.register(registered, inventory)
                done.append(replace(started, device=registered))
                report("booting", len(done), len(devices))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            finished = {each.device.name for each in done}
            for device in devices:
                if device.name not in finished and not device.is_running:
                    _switch_off(find_device(device.name) or device)
            raise
    return done


def _boot(device: EmulatedDevice, start: Callable[[EmulatedDevice], Machine | Namespace]) -> Up:
    if device.is_running:
        return Up(device, None)
    started = start(device)
    return Up(started.device, started.wait_until_up())


def _also_in(device: EmulatedDevice, inventory: Path) -> EmulatedDevice:
    """Note that a device is registered in an inventory, too."""
    if str(inventory) in device.inventories:
        return device
    also = replace(device, inventories=(*device.inventories, str(inventory)))
    also.save()
    return also


def _switch_off(device: EmulatedDevice) -> None:
    (Machine(device) if KINDS[device.kind].recipe else Namespace(device)).stop()


def _take_down(device: EmulatedDevice) -> None:
    _switch_off(device)
    registration.unregister(device)
    device.forget()


def _memory_bytes(device: EmulatedDevice) -> int | None:
    """Return the resident memory of a device's process and of what it started itself."""
    if not device.is_running or device.process is None:
        return None
    total, pending = 0, [device.process.pid]
    while pending:
        pid = pending.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
            tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except (OSError, ValueError, IndexError):
            continue
        pending += [int(task) for task in tasks]
    return total
