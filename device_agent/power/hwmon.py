"""Power monitors that the kernel's hwmon drivers read: INA2xx, INA3221 (Jetson), LTC29xx, PMBus, ACPI.

Rules:
    * A chip is known by its `name` file: the numbers of hwmon folders change from boot to boot.
    * Of a channel the energy counter is preferred (the chip has integrated every conversion), then power,
      then voltage times current of the same channel.
    * `update_interval` is read and never written: it belongs to whoever configured the chip.

Sources: Documentation/hwmon/sysfs-interface.rst (power in uW, voltage in mV, current in mA, energy in uJ,
`update_interval` in ms); Documentation/hwmon/ina2xx.rst and ina3221.rst; drivers/hwmon/ina2xx.c for the steps
of its registers.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from .found import Found
from .roots import folders, number_or_none, read_number, text_or_none
from .sampler import DEFAULT_INTERVAL_NS, SampledSource
from .source import JOULES, SensorGoneError, Traits

if TYPE_CHECKING:
    from pathlib import Path

    from .roots import Roots

# Step of the current register in uA x shunt in uOhm, and steps of current in one step of power.
# Source: drivers/hwmon/ina2xx.c (shunt_div, power_lsb_factor); INA219 and INA226 datasheets, "Programming".
_INA_STEPS = {
    "ina219": (10_000_000, 20),
    "ina220": (10_000_000, 20),
    "ina226": (2_500_000, 25),
    "ina230": (2_500_000, 25),
    "ina231": (2_500_000, 25),
    "ina234": (2_500_000, 25),
}
# Source: INA3221 datasheet: shunt voltage in steps of 40 uV.
_INA3221_SHUNT_STEP_UV = 40
# in4 to in6 of the INA3221 are its shunt voltages and curr4 the sum of currents: no channels of their own.
_INA3221_CHANNELS = (1, 2, 3)
# Jetson's names of the rail that feeds the whole module.
_INPUT_LABELS = ("VDD_IN", "POM_5V_IN")
_MONITORS = re.compile(r"(ina|ltc|max3|adm1|lm25|isl|tps|pmbus|power_meter)")
_COVERS = {
    "amdgpu": "the graphics processor alone; not the processor, the memory or the board",
    "power_meter": "the whole machine at its supply, as its firmware measures it",
}


@dataclass(frozen=True)
class Channel:
    """One rail of a chip: which files give its energy or power."""

    index: int
    kind: str
    label: str
    folder: Path

    def read(self) -> float:
        """Return joules counted so far, or watts."""
        if self.kind == "energy":
            return read_number(self.folder / f"energy{self.index}_input") / 1e6
        if self.kind == "product":
            voltage_mv = read_number(self.folder / f"in{self.index}_input")
            return voltage_mv * read_number(self.folder / f"curr{self.index}_input") / 1e6
        return read_number(self.folder / f"power{self.index}_{self.kind}") / 1e6


def find(roots: Roots) -> list[Found]:
    """Return the power monitors of this machine, one for a chip's whole and one for each of its rails."""
    chips = [chip for chip in folders(roots.sys_class / "hwmon") if not _is_power_supply(chip)]
    named = [(text_or_none(chip / "name") or "", chip) for chip in chips]
    found = []
    for kind, chip in named:
        channels = _channels(kind, chip)
        if channels:
            twin = sum(1 for other, _ in named if other == kind) > 1
            found.extend(_of_chip(kind, chip, channels, f"@{_device_name(chip)}" if twin else ""))
    return sorted(found, key=lambda one: (not _feeds_all(one), one.name))


def _of_chip(kind: str, chip: Path, channels: list[Channel], suffix: str) -> list[Found]:
    name = f"hwmon:{kind}{suffix}"
    automatic = bool(_MONITORS.match(kind))
    whole = [one for one in channels if one.label in _INPUT_LABELS] or channels
    found = [_found(name, chip, kind, whole, automatic)]
    if len(channels) > 1:
        found += [_found(f"{name}:{one.label}", chip, kind, [one], automatic=False) for one in channels]
    return found


def _found(name: str, chip: Path, kind: str, channels: list[Channel], automatic: bool) -> Found:
    reason = remedy = None
    try:
        for channel in channels:
            channel.read()
    except OSError as err:
        reason = f"{err.filename or chip}: {err.strerror}"
        if err.errno in (errno.EACCES, errno.EPERM):
            remedy = f"Make it readable on the device: `sudo chmod a+r {err.filename}` (until the next boot)."
    return Found(
        name,
        "hwmon",
        str(chip),
        _covers(kind, channels),
        lambda: _source(kind, chip, channels),
        reason,
        remedy,
        automatic,
    )


def _source(kind: str, chip: Path, channels: list[Channel]) -> SampledSource:
    update_ns = (number_or_none(chip / "update_interval") or 0) * 1_000_000
    interval_ns = max(DEFAULT_INTERVAL_NS, min(update_ns // 2, 1_000_000_000))
    counts = channels[0].kind == "energy"
    if counts:
        traits = Traits(JOULES, resolution_j=1e-6, lag_ns=update_ns)
        return SampledSource(_counter(channels), traits, interval_ns=interval_ns)
    traits = Traits(resolution_w=_resolution_w(kind, chip, channels), lag_ns=update_ns)
    return SampledSource(lambda: sum(one.read() for one in channels), traits, interval_ns=interval_ns)


def _counter(channels: list[Channel]) -> Callable[[], float]:
    """Return a reader of energy counters that notices when one starts again: its range is nowhere stated."""
    last: list[float] = [float("-inf")]

    def read() -> float:
        counted_j = sum(channel.read() for channel in channels)
        if counted_j < last[0]:
            message = "the chip's energy counter started again within the window"
            raise SensorGoneError(message)
        last[0] = counted_j
        return counted_j

    return read


def _channels(kind: str, chip: Path) -> list[Channel]:
    """Return a chip's rails; all of them are read the same way, the best that every one of them has."""
    files = [path.name for path in folders(chip)]
    rails: dict[int, set[str]] = {}
    for file in files:
        match = re.fullmatch(r"(energy|power|in|curr)(\d+)_(input|average)", file)
        if match and (kind != "ina3221" or int(match[2]) in _INA3221_CHANNELS):
            rails.setdefault(int(match[2]), set()).add(f"{match[1]}_{match[3]}")
    wanted = (
        ("energy", {"energy_input"}),
        ("input", {"power_input"}),
        ("average", {"power_average"}),
        ("product", {"in_input", "curr_input"}),
    )
    for how, needs in wanted:
        indices = [index for index in sorted(rails) if needs <= rails[index] and _is_enabled(chip, index)]
        if indices:
            return [Channel(index, how, _label(chip, index), chip) for index in indices]
    return []


def _is_enabled(chip: Path, index: int) -> bool:
    return number_or_none(chip / f"in{index}_enable") != 0 and _label(chip, index) != "NC"


def _label(chip: Path, index: int) -> str:
    for file in ("power", "in", "curr"):
        label = text_or_none(chip / f"{file}{index}_label")
        if label:
            return re.sub(r"[^\w.+-]", "_", label)
    return str(index)


def _resolution_w(kind: str, chip: Path, channels: list[Channel]) -> float | None:
    """Return the step of the power reading, where driver or datasheet state it."""
    if channels[0].kind == "input" and kind in _INA_STEPS:
        shunt_uohm = number_or_none(chip / "shunt_resistor")
        current_step, factor = _INA_STEPS[kind]
        return round(current_step / shunt_uohm) * factor / 1e6 if shunt_uohm else None
    if channels[0].kind != "product":
        return None
    return sum(_product_step_w(kind, chip, channel.index) for channel in channels)


def _product_step_w(kind: str, chip: Path, index: int) -> float:
    """Return the step of voltage times current at the present voltage; hwmon's own step is 1 mA."""
    step_a = 0.001
    shunt_uohm = number_or_none(chip / f"shunt{index}_resistor")
    if kind == "ina3221" and shunt_uohm:
        step_a = max(step_a, _INA3221_SHUNT_STEP_UV / shunt_uohm)
    return (number_or_none(chip / f"in{index}_input") or 0) / 1000 * step_a


def _covers(kind: str, channels: list[Channel]) -> str:
    if kind in _COVERS:
        return _COVERS[kind]
    labels = ", ".join(channel.label for channel in channels)
    if channels[0].label in _INPUT_LABELS:
        return f"rail {labels}: the whole module at its input; not what the carrier board feeds past it"
    what = f"the sum of the rails {labels}" if len(channels) > 1 else f"the rail of channel {labels}"
    return f"{what} behind the {kind} monitor; not what is fed past its shunt"


def _feeds_all(found: Found) -> bool:
    return "whole" in found.covers


def _is_power_supply(chip: Path) -> bool:
    """Return whether a chip is the hwmon face of a battery or charger: `battery.py` reads these."""
    return (chip / "device" / "type").exists() and (chip / "device" / "uevent").exists()


def _device_name(chip: Path) -> str:
    """Return the bus name of a chip's device, such as "1-0040", which stays the same from boot to boot."""
    device = chip / "device"
    return device.resolve().name if device.exists() else chip.name
