"""RAPL energy counters of x86 processors through the kernel's powercap zones.

The zone `psys` is preferred: it covers the whole platform where the maker wired it. Else the packages are
summed. The duplicate zones of `intel-rapl-mmio` are left out.

Sources: Documentation/ABI/testing/sysfs-class-powercap (`energy_uj` in uJ, wraps at `max_energy_range_uj`);
Intel SDM volume 3B, 15.10.1 (the counters move about every millisecond, in steps of 2^-14 or 2^-16 J).
`energy_uj` is readable by root alone since Linux 5.10: its readings tell apart the data that a program works
on (CVE-2020-8694, "PLATYPUS").
"""

from __future__ import annotations

import errno
import re
import time
from typing import TYPE_CHECKING

from .found import Found
from .integrate import unwrap
from .roots import folders, read_number, text_or_none
from .sampler import SampledSource
from .source import JOULES, SensorGoneError, Traits

if TYPE_CHECKING:
    from pathlib import Path

    from .roots import Roots

_TRAITS = Traits(JOULES, resolution_j=2**-14, lag_ns=1_000_000)
# No processor takes this much. A counter that implies it did not wrap, it was reset.
_IMPLAUSIBLE_W = 100_000
_PACKAGE = "the processor packages (cores, caches, built-in graphics); not memory, disks or the board"
_PSYS = "the platform as its maker wired RAPL's psys zone, often the whole board; not the supply's loss"


class Zone:
    """One zone's counter, unwrapped.

    Args:
        folder: The zone's folder below /sys/class/powercap.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._wraps_at = read_number(folder / "max_energy_range_uj")
        self._last: tuple[int, int] | None = None
        self._total_uj = 0

    def read(self) -> float:
        """Return the joules counted since the first reading.

        Raises:
            OSError: As the kernel says.
            SensorGoneError: The counter was reset.
        """
        now_ns, raw_uj = time.monotonic_ns(), read_number(self._file)
        if self._last:
            total_uj = unwrap(self._last[1], raw_uj, self._total_uj, self._wraps_at)
            seconds = max(now_ns - self._last[0], 1_000_000) / 1e9
            if raw_uj < self._last[1] and (total_uj - self._total_uj) / 1e6 > _IMPLAUSIBLE_W * seconds:
                message = f"{self._file} was reset within the window"
                raise SensorGoneError(message)
            self._total_uj = total_uj
        self._last = (now_ns, raw_uj)
        return self._total_uj / 1e6


def find(roots: Roots) -> list[Found]:
    """Return the psys zone, all packages, and where there are several of these each of them."""
    zones = {
        path: text_or_none(path / "name") or path.name
        for path in folders(roots.sys_class / "powercap")
        if re.fullmatch(r"intel-rapl:\d+", path.name)
    }
    packages = [path for path, name in zones.items() if name.startswith("package")]
    found = [_found("psys", [path], _PSYS) for path, name in zones.items() if name == "psys"]
    if len(packages) > 1:
        found.append(_found("packages", packages, _PACKAGE))
    found += [_found(zones[path], [path], _PACKAGE) for path in packages]
    return found


def _found(name: str, paths: list[Path], covers: str) -> Found:
    reason = remedy = None
    try:
        for path in paths:
            read_number(path / "energy_uj")
            read_number(path / "max_energy_range_uj")
    except OSError as err:
        reason = f"{err.filename}: {err.strerror}"
        if err.errno in (errno.EACCES, errno.EPERM):
            reason += "; root alone may read it since Linux 5.10 (CVE-2020-8694, PLATYPUS)"
            files = " ".join(str(path / "energy_uj") for path in paths)
            remedy = f"Where no untrusted user shares it: `sudo chmod a+r {files}` (until the next boot)."
    return Found(
        f"powercap:{name}", "powercap", str(paths[0]), covers, lambda: _source(paths), reason, remedy
    )


def _source(paths: list[Path]) -> SampledSource:
    zones: list[Zone] = []

    def read() -> float:
        if not zones:
            zones.extend(Zone(path) for path in paths)
        return sum(zone.read() for zone in zones)

    return SampledSource(read, _TRAITS)
