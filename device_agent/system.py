"""What the device is and has, read from where its kernel and C library say it.

Rules:
    * One small reader a fact. A fact that cannot be had is None, never 0 and never an error (`sysfs.py`).
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
from .state import StateReader, find_vcgencmd, run_tool
from .store import free_bytes
from .sysfs import MACHINE, fields, text
from .trust import find_ssh_keygen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .layout import WorkDir

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
    cpuinfo, state = fields("/proc/cpuinfo"), StateReader().read()
    return {
        "hostname": socket.gethostname(),
        "model": text("/proc/device-tree/model") or text("/sys/class/dmi/id/product_name"),
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
        "firmware": _firmware(),
        "microcode": cpuinfo.get("microcode"),
        "governor": (state["governors"] or [None])[0],
        "clocks_hz": [clock for clock in state["clocks_hz"] or () if clock] or None,
        "temperatures_c": state["temperatures_c"],
        "power_sensors": _power_sensors(),
        "ssh_keygen": find_ssh_keygen(),
        **_system_runtime(work),
    }


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
    found = fields("/proc/meminfo")
    sizes = {key: found[key].split()[0] for key in ("MemTotal", "MemAvailable") if key in found}
    known = {key: int(size) * 1024 for key, size in sizes.items() if size.isdigit()}
    return {"total_bytes": known.get("MemTotal"), "available_bytes": known.get("MemAvailable")}


def _firmware() -> str | None:
    """Return which firmware runs below the kernel: a Raspberry Pi's, a boot loader's, a BIOS's."""
    tool = find_vcgencmd(MACHINE)
    said = (run_tool([tool, "version"]) or "").splitlines() if tool else []
    tree = MACHINE.proc / "device-tree/chosen"
    return (
        ", ".join(line.strip() for line in said if not line.startswith("Copyright"))
        or text(tree / "bootloader/version")
        or text(tree / "u-boot,version")
        or text(MACHINE.sys / "class/dmi/id/bios_version")
    )


def _power_sensors() -> list[dict[str, Any]]:
    """Return what could measure power here; a sensor that breaks the survey must not hide all other facts."""
    from .power.registry import survey

    try:
        return survey()
    except (AgentError, OSError):
        return []


def _system_runtime(work: WorkDir) -> dict[str, Any]:
    """Return the system's runtime, or None with the reason where there is one that cannot be used."""
    try:
        found = survey_system(work)
    except AgentError as err:
        found = {"runtime": None, "reason": err.message, "numpy": None}
    names = {"system_runtime": "runtime", "system_runtime_reason": "reason", "system_numpy": "numpy"}
    return {fact: found[name] for fact, name in names.items()}
