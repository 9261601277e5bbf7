"""What the device is and has, read from where its kernel and C library say it.

Rules:
    * One small reader a fact. A fact that cannot be had is None, never 0 and never an error: boards differ
      in what they show, containers hide most of it.
    * Sensors are found by their `name` file: the numbers of hwmon folders change from boot to boot.
"""

from __future__ import annotations

import mmap
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import process
from .errors import AgentError
from .runtimes import survey_system
from .store import free_bytes
from .trust import find_ssh_keygen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .layout import WorkDir

_CPU = Path("/sys/devices/system/cpu")
_CLASS = Path("/sys/class")
# Source: Arm's Main ID Register, PartNum of implementer 0x41, as in the kernel's asm/cputype.h.
_ARM_PARTS = {
    "0xb76": "ARM1176",
    "0xc07": "Cortex-A7",
    "0xc08": "Cortex-A8",
    "0xc09": "Cortex-A9",
    "0xc0f": "Cortex-A15",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
}


def probe(work: WorkDir) -> dict[str, Any]:
    """Return the facts of PROTOCOL.md's `probe`."""
    cpuinfo = _fields("/proc/cpuinfo")
    return {
        "hostname": socket.gethostname(),
        "model": _text("/proc/device-tree/model") or _text("/sys/class/dmi/id/product_name"),
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "python": _python(),
        "libc": _libc(),
        "libstdcxx": _libstdcxx(),
        "cpu": {
            "count": os.cpu_count(),
            "available": _available_cpus(),
            "model": cpuinfo.get("model name") or _ARM_PARTS.get(cpuinfo.get("CPU part", "")),
            "features": (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split() or None,
        },
        "memory": _memory(),
        "disk": {"free_bytes": free_bytes(work.root)},
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "clock": {"unix_ns": time.time_ns()},
        "boot_id": process.boot_id() or None,
        "uid": os.getuid(),
        "governor": _text(_CPU / "cpu0/cpufreq/scaling_governor"),
        "clocks_hz": _clocks_hz(),
        "temperatures_c": _temperatures_c(),
        "power_sensors": _power_sensors(),
        "ssh_keygen": find_ssh_keygen(),
        **_system_runtime(work),
    }


def _text(path: str | Path) -> str | None:
    """Return a small file's text, without a device tree's final zero byte; None where there is no text."""
    try:
        return Path(path).read_bytes().rstrip(b"\0").decode("utf-8", "replace").strip() or None
    except OSError:
        return None


def _number(path: str | Path) -> int | None:
    """Return a small file's integer. Some drivers answer a read with an error while they have no value."""
    text = _text(path)
    try:
        return int(text) if text else None
    except ValueError:
        return None


def _fields(path: str) -> dict[str, str]:
    """Return the first `key : value` of each key."""
    fields: dict[str, str] = {}
    for line in (_text(path) or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _python() -> dict[str, Any]:
    tag = (sys.implementation.cache_tag or "").replace("cpython-", "cp")
    return {
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "executable": sys.executable,
        "abi": tag + getattr(sys, "abiflags", ""),
        "bits": 64 if sys.maxsize > 1 << 32 else 32,
    }


def _available_cpus() -> int | None:
    """Return how many CPUs this process may use: in a container or under taskset not all of them."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return None


def _libc() -> dict[str, str | None]:
    if hasattr(sys, "getandroidapilevel"):
        return {"kind": "bionic", "version": str(sys.getandroidapilevel())}
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        if name == "glibc":
            return {"kind": "glibc", "version": version}
    except (ValueError, OSError):
        pass
    for loader in sorted(Path("/lib").glob("ld-musl-*.so.1")):
        return {"kind": "musl", "version": _musl_version(loader)}
    return {"kind": None, "version": None}


def _musl_version(loader: Path) -> str | None:
    """Return what musl's loader says of itself when it is run without a program."""
    try:
        done = subprocess.run([loader], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"Version ([0-9.]+)", done.stderr)
    return found.group(1).decode() if found else None


def _libstdcxx() -> dict[str, str | None] | None:
    """Return the newest symbol versions that the C++ library offers: what decides whether a wheel loads."""
    for path in _libstdcxx_paths():
        try:
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return {"glibcxx": _newest(data, b"GLIBCXX"), "cxxabi": _newest(data, b"CXXABI")}
        except (OSError, ValueError):
            continue
    return None


def _libstdcxx_paths() -> Iterable[Path]:
    """Return where the C++ library of this Python's architecture may lie, likeliest first."""
    multiarch = getattr(sys.implementation, "_multiarch", "") or f"{os.uname().machine}-linux-gnu"
    wide = "lib64" if sys.maxsize > 1 << 32 else "lib32"
    folders = [f"/usr/lib/{multiarch}", f"/lib/{multiarch}", f"/usr/{wide}", f"/{wide}", "/usr/lib", "/lib"]
    return (Path(folder, "libstdc++.so.6") for folder in folders)


def _newest(data: mmap.mmap, prefix: bytes) -> str | None:
    found = re.findall(prefix + rb"_([0-9]+(?:\.[0-9]+)+)\0", data)
    versions = sorted([int(part) for part in version.split(b".")] for version in found)
    return ".".join(str(part) for part in versions[-1]) if versions else None


def _memory() -> dict[str, int | None]:
    fields = _fields("/proc/meminfo")
    sizes = {key: fields[key].split()[0] for key in ("MemTotal", "MemAvailable") if key in fields}
    known = {key: int(size) * 1024 for key, size in sizes.items() if size.isdigit()}
    return {"total_bytes": known.get("MemTotal"), "available_bytes": known.get("MemAvailable")}


def _clocks_hz() -> list[int] | None:
    """Return each CPU's clock now; the kernel counts in kHz."""
    paths = sorted(_CPU.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    clocks = [number * 1000 for number in map(_number, paths) if number]
    return clocks or None


def _temperatures_c() -> list[dict[str, Any]] | None:
    """Return the thermal zones, or where there are none hwmon's; the kernel counts in 1/1000 °C."""
    zones = [(zone / "type", zone / "temp") for zone in _list(_CLASS / "thermal", "thermal_zone*")]
    inputs = _list(_CLASS / "hwmon", "hwmon*/temp*_input")
    chips = [(path.parent / "name", path) for path in inputs]
    values = [(_text(name), _number(path)) for name, path in zones or chips]
    known = [{"name": name, "value": value / 1000} for name, value in values if value is not None]
    return known or None


def _power_sensors() -> list[dict[str, Any]]:
    """Return what could measure power: INA chips and the like, RAPL, batteries."""
    found = []
    for chip in _list(_CLASS / "hwmon", "hwmon*"):
        pairs = list(chip.glob("in*_input")) and list(chip.glob("curr*_input"))
        if list(chip.glob("power*_input")) or pairs:
            found.append(_sensor("hwmon", chip, _text(chip / "name")))
    for zone in _list(_CLASS / "powercap", "*:*"):
        if _number(zone / "energy_uj") is not None:
            found.append(_sensor("powercap", zone, _text(zone / "name")))
    for supply in _list(_CLASS / "power_supply", "*"):
        if _text(supply / "type") == "Battery" and _number(supply / "current_now") is not None:
            found.append(_sensor("power_supply", supply, supply.name))
    return found


def _sensor(driver: str, path: Path, name: str | None) -> dict[str, Any]:
    return {"driver": driver, "name": name, "path": str(path)}


def _list(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _system_runtime(work: WorkDir) -> dict[str, Any]:
    """Return the system's runtime, or None with the reason where there is one that cannot be used."""
    try:
        found = survey_system(work)
    except AgentError as err:
        found = {"runtime": None, "reason": err.message, "numpy": None}
    names = {"system_runtime": "runtime", "system_runtime_reason": "reason", "system_numpy": "numpy"}
    return {fact: found[name] for fact, name in names.items()}
