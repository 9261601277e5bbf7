"""A board's TOML file -> `Target`.

Rules:
    * One door: shipped boards and a user's own file are read and checked by `load_target` alone.
    * First each key is read by its type (`table.py`), then the whole is checked against the list `PROMISES`
      (`promises.py`).
    * An optional fact that is not known is left out of the file and becomes None.

The keys of a file are explained, with a complete example, in `docs/targets.md`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, get_args

from edgepack.targets.errors import TargetError
from edgepack.targets.model import (
    PRECISIONS,
    BootKind,
    Core,
    Firmware,
    Link,
    LinkKind,
    MemoryRegion,
    PowerSensor,
    Runtime,
    RuntimeKind,
    Target,
)
from edgepack.targets.promises import PROMISES
from edgepack.targets.table import Table
from edgepack.targets.units import parse_bytes, parse_bytes_per_s, parse_hz

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 64 * 1024
ARCHES = (
    "aarch64",
    "armv7l",
    "x86_64",
    "armv6-m",
    "armv7-m",
    "armv7e-m",
    "armv8-m.base",
    "armv8-m.main",
    "armv8.1-m.main",
    "riscv32",
    "native",
)
_FAMILIES: tuple[Literal["linux", "android", "mcu"], ...] = ("linux", "android", "mcu")
_REGION_KINDS: tuple[Literal["ram", "flash"], ...] = ("ram", "flash")
_TARGET_KEYS = (
    "name",
    "title",
    "aliases",
    "family",
    "arch",
    "default_precision",
    "precisions",
    "buildable",
    "not_buildable_reason",
    "notes",
    "source",
    "runtime",
    "link",
    "firmware",
    "cores",
    "memory",
    "power_sensors",
)


def load_target(path: Path) -> Target:
    """Read and check one board file.

    Args:
        path: A TOML file; its stem is the target's name.

    Returns:
        The target.

    Raises:
        TargetError: The file cannot be read, is not TOML, or breaks a promise. The message names the file,
            the key, the value found and the values allowed.
    """
    root = Table(path, "", _document(path))
    target = _target(root)
    for promise in PROMISES:
        promise(target, root)
    return target


def _document(path: Path) -> dict[str, object]:
    """Return the file as TOML values, without trusting its size or its text."""
    remedy = "Give the path of a board file in TOML; docs/targets.md shows a complete one."
    try:
        if not path.is_file():
            message = f"{path}: no such file." if not path.exists() else f"{path}: not a regular file."
            raise TargetError(message, remedy=remedy)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as err:
        message = f"{path}: cannot be read: {err.strerror}."
        raise TargetError(message, remedy=remedy) from err
    if len(data) > MAX_FILE_BYTES:
        message = f"{path}: larger than {MAX_FILE_BYTES} bytes, the limit for a board file."
        raise TargetError(message, remedy=remedy)
    try:
        return tomllib.loads(data.decode("utf-8"))
    # ValueError: bad UTF-8, bad TOML, or a number with too many digits. RecursionError: nested too deeply.
    except (ValueError, RecursionError) as err:
        message = f"{path}: not valid TOML: {err}."
        raise TargetError(message, remedy="Correct the file at the place that the message names.") from err


def _target(root: Table) -> Target:
    root.allow_only(*_TARGET_KEYS)
    return Target(
        name=root.text("name"),
        title=root.text("title"),
        family=root.choice("family", _FAMILIES),
        arch=root.choice("arch", ARCHES),
        cores=tuple(_core(table) for table in root.tables("cores")),
        memory=tuple(_memory_region(table) for table in root.tables("memory")),
        runtime=_runtime(root.table("runtime")),
        link=_link(root.table("link")),
        power_sensors=tuple(_power_sensor(table) for table in root.tables("power_sensors")),
        default_precision=root.choice("default_precision", PRECISIONS),
        precisions=root.choices("precisions", PRECISIONS),
        buildable=root.flag("buildable", default=True),
        not_buildable_reason=root.optional_text("not_buildable_reason"),
        source=root.text("source"),
        aliases=root.texts("aliases"),
        notes=root.texts("notes"),
        firmware=_firmware(root.table("firmware")) if "firmware" in root.values else None,
    )


def _core(table: Table) -> Core:
    table.allow_only("name", "isa", "count", "clock", "features", "source")
    return Core(
        name=table.text("name"),
        isa=table.text("isa"),
        count=table.whole_number("count", low=1, high=1024),
        clock_hz=table.quantity("clock", parse_hz, "1.5 GHz"),
        features=table.texts("features"),
        source=table.text("source"),
    )


def _memory_region(table: Table) -> MemoryRegion:
    table.allow_only("name", "kind", "size", "address", "bandwidth", "source")
    return MemoryRegion(
        name=table.text("name"),
        kind=table.choice("kind", _REGION_KINDS),
        size_bytes=table.quantity("size", parse_bytes, "256 KiB"),
        address=table.whole_number("address", low=0, high=0xFFFF_FFFF),
        bandwidth_bytes_per_s=table.quantity("bandwidth", parse_bytes_per_s, "3.2 GB/s"),
        source=table.text("source"),
    )


def _runtime(table: Table) -> Runtime:
    table.allow_only("kind", "wheel_platform", "unsupported_operators")
    kinds: tuple[RuntimeKind, ...] = get_args(RuntimeKind)
    return Runtime(
        kind=table.choice("kind", kinds),
        wheel_platform=table.optional_text("wheel_platform"),
        unsupported_operators=table.texts("unsupported_operators"),
    )


def _link(table: Table) -> Link:
    table.allow_only("kind")
    kinds: tuple[LinkKind, ...] = get_args(LinkKind)
    return Link(kind=table.choice("kind", kinds))


def _firmware(table: Table) -> Firmware:
    table.allow_only("boot", "uf2_family", "machine")
    boots: tuple[BootKind, ...] = get_args(BootKind)
    return Firmware(
        boot=table.choice("boot", boots) if "boot" in table.values else None,
        uf2_family=table.whole_number("uf2_family", low=0, high=0xFFFF_FFFF),
        machine=table.optional_text("machine"),
    )


def _power_sensor(table: Table) -> PowerSensor:
    table.allow_only("driver", "covers", "source")
    return PowerSensor(
        driver=table.text("driver"),
        covers=table.text("covers"),
        source=table.text("source"),
    )
