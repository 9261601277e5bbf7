"""What a target is: frozen dataclasses, filled from `boards/*.toml` by `schema.py`.

Rules:
    * Base units only: bytes, hertz, milliwatts; the unit is in the name. `units.py` converts at the edge.
    * A fact that is not known is `None`, never 0.
    * Every hard number carries the `source` it was read from.
    * No inheritance between boards: a shared line is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RuntimeKind = Literal["litert", "tflite-runtime", "mcu"]
LinkKind = Literal["ssh", "local", "serial", "adb", "emulated"]
BootKind = Literal["rp2040", "rp2350"]
Precision = Literal["float32", "float16", "dynamic-int8", "int8", "int16x8", "int4", "auto"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "dynamic-int8", "int8", "int16x8", "int4", "auto")


@dataclass(frozen=True)
class Core:
    """A cluster of equal cores.

    Attributes:
        name: The core's own name, such as "cortex-a76".
        isa: Instruction set, such as "armv8.2-a", "armv6-m", "x86-64".
        count: Number of such cores; None where it differs between devices of this kind.
        clock_hz: Highest clock in hertz that a device of this kind is sold with; None where the board sets
            it.
        features: Instruction-set extensions that kernels care about, such as "dotprod", "dsp", "mve".
        source: Where these facts were read.
    """

    name: str
    isa: str
    count: int | None
    clock_hz: int | None
    features: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class MemoryRegion:
    """A region of memory that a model can use.

    Attributes:
        name: Such as "ram", "flash", "dtcm".
        kind: "ram" (read and write) or "flash" (read only at run time).
        size_bytes: Size in bytes; None where it depends on the model of the board.
        address: Start address on a microcontroller; None elsewhere.
        bandwidth_bytes_per_s: Peak bandwidth in bytes per second; None where no source states it.
        source: Where these facts were read.
    """

    name: str
    kind: Literal["ram", "flash"]
    size_bytes: int | None
    address: int | None
    bandwidth_bytes_per_s: int | None
    source: str


@dataclass(frozen=True)
class Runtime:
    """What executes a model on the target.

    Attributes:
        kind: "litert", "tflite-runtime" (32-bit Arm), or "mcu" (generated C).
        wheel_platform: The platform of its wheels, such as "linux_aarch64"; None where none is used.
        unsupported_operators: TFLite operator names that this runtime cannot run.
    """

    kind: RuntimeKind
    wheel_platform: str | None
    unsupported_operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """How edgepack usually reaches such a device."""

    kind: LinkKind


@dataclass(frozen=True)
class Firmware:
    """How a microcontroller's image is made and started.

    Attributes:
        boot: Whose boot ROM starts it, "rp2040" or "rp2350"; None where it wants to find nothing in flash.
        uf2_family: The chip's family id in UF2 files; None where it does not take them.
        machine: The machine of QEMU that emulates the board; None for a real one.
    """

    boot: BootKind | None
    uf2_family: int | None
    machine: str | None


@dataclass(frozen=True)
class PowerSensor:
    """A power sensor that such a board carries.

    Attributes:
        driver: Name of the reader, such as "rpi-pmic", "hwmon", "rapl".
        covers: What the rail covers, in plain words.
        source: Where this was read.
    """

    driver: str
    covers: str
    source: str


@dataclass(frozen=True)
class Target:
    """A kind of device that a model can be built for.

    Attributes:
        name: The name on the command line; equals the file's stem.
        title: What a person calls it.
        family: "linux", "android" or "mcu".
        arch: "aarch64", "armv7l", "x86_64", "armv6-m", … as the runtime's wheels or compiler name it.
        default_precision: What `build` uses when the project says nothing.
        precisions: What can be built for this target.
        buildable: False while edgepack can only inspect for this target.
        not_buildable_reason: Why, when `buildable` is False; None otherwise.
        source: Where the facts that have no source of their own were read.
        aliases: Other names that find this target; each is matched as a whole.
        notes: What a person should know before using it, one line each.
        firmware: How an image for it is made; None where edgepack makes none (Linux, a bare core).
    """

    name: str
    title: str
    family: Literal["linux", "android", "mcu"]
    arch: str
    cores: tuple[Core, ...]
    memory: tuple[MemoryRegion, ...]
    runtime: Runtime
    link: Link
    power_sensors: tuple[PowerSensor, ...]
    default_precision: Precision
    precisions: tuple[Precision, ...]
    buildable: bool
    not_buildable_reason: str | None
    source: str
    aliases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    firmware: Firmware | None = None
