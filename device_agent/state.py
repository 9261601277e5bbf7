"""How the device is at one moment: governors, clocks, temperatures, throttling, load, memory.

Rules:
    * Reading is cheap, and where it is not, it is done less often: the thread that reads during a window
      rests 200 times as long as a reading used the CPU, so that it costs under 0.5 % of a core on any device.
    * What stays the same while the machine runs (which cores, which sensors) is looked up once.
    * The firmware's throttling word is read from the kernel where it shows it, else by `vcgencmd`, a
      process.
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from .sysfs import MACHINE, listing, number, text

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from .sysfs import Sources

INTERVAL_S = 1.0
_REST_FACTOR = 200
_MAX_STATES = 2000
_TOOL_TIMEOUT_S = 5.0
# The same four for "now" (bits 0 to 3) and "since the machine was started" (bits 16 to 19).
# Source: Raspberry Pi documentation, "vcgencmd", get_throttled.
_MEANINGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_SINCE_BOOT_SHIFT = 16


class StateReader:
    """Reads the device's state.

    Args:
        sources: Where to read.
    """

    def __init__(self, sources: Sources = MACHINE) -> None:
        self._sources = sources
        self._cpus = [cpu / "cpufreq" for cpu in listing(sources.cpu, "cpu[0-9]*")]
        self._temperatures = _temperature_files(sources)
        self._counters = listing(sources.cpu, "cpu[0-9]*/thermal_throttle/*_throttle_count")
        self._cooling = _cpu_cooling_devices(sources)
        self._word = sources.sys / "devices/platform/soc/soc:firmware/get_throttled"
        self._tool = find_vcgencmd(sources)

    def read(self) -> dict[str, Any]:
        """Return a state of the job's record (PROTOCOL.md)."""
        clock_ns = time.monotonic_ns()
        load = (text(self._sources.proc / "loadavg") or "").split()
        return {
            "clock_ns": clock_ns,
            "governors": _known([text(cpu / "scaling_governor") for cpu in self._cpus]),
            "clocks_hz": _known([_hertz(cpu, "scaling_cur_freq", "cpuinfo_cur_freq") for cpu in self._cpus]),
            "max_clocks_hz": _known(
                [_hertz(cpu, "scaling_max_freq", "cpuinfo_max_freq") for cpu in self._cpus]
            ),
            "temperatures_c": self._temperatures_c(),
            "throttling": self._throttling(),
            "throttle_events": self._throttle_events(),
            "cooling": self._cooling_steps(),
            "load_1min": float(load[0]) if load else None,
            "available_bytes": self._available_bytes(),
        }

    def _temperatures_c(self) -> list[dict[str, Any]] | None:
        """Return the thermal zones, or where there are none hwmon's; the kernel counts in 1/1000 °C."""
        values = [(name, number(path)) for name, path in self._temperatures]
        return [{"name": name, "value": value / 1000} for name, value in values if value is not None] or None

    def _throttling(self) -> dict[str, Any] | None:
        word = text(self._word)
        if word is None and self._tool:
            word = (run_tool([self._tool, "get_throttled"]) or "").partition("=")[2]
        try:
            bits = int(word, 16) if word else None
        except ValueError:
            return None
        return None if bits is None else {"bits": bits, "now": meanings(bits), "since_boot": since_boot(bits)}

    def _throttle_events(self) -> int | None:
        """Return how often the cores and packages of an x86 throttled since boot, all counters added up."""
        counts = [count for count in map(number, self._counters) if count is not None]
        return sum(counts) if counts else None

    def _cooling_steps(self) -> list[dict[str, Any]] | None:
        """Return by how many steps the kernel slows CPUs down to cool them; 0 where it does not."""
        steps = [(name, number(path)) for name, path in self._cooling]
        return [{"name": name, "step": step} for name, step in steps if step is not None] or None

    def _available_bytes(self) -> int | None:
        for line in (text(self._sources.proc / "meminfo") or "").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None


class StateSampler:
    """Reads states from a thread, about once a second, for the length of a `with` block.

    Args:
        reader: Reads the states.
        interval_s: Time between two readings, at least.

    Attributes:
        states: What was read.
    """

    def __init__(self, reader: StateReader, interval_s: float = INTERVAL_S) -> None:
        self.states: list[dict[str, Any]] = []
        self._reader = reader
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> StateSampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        rest_s = self._interval_s
        while not self._stop.wait(rest_s):
            before_s = _used_s()
            self.states.append(self._reader.read())
            rest_s = max(self._interval_s, _REST_FACTOR * (_used_s() - before_s))
            if len(self.states) >= _MAX_STATES:
                del self.states[1::2]
                self._interval_s *= 2


def _used_s() -> float:
    """Return the CPU time of this thread, and of the tools that this process has run."""
    tools = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time() + tools.ru_utime + tools.ru_stime


def hottest_c(temperatures: list[dict[str, Any]] | None) -> float | None:
    """Return the highest of a state's temperatures, in degrees Celsius; None where there are none."""
    return max((entry["value"] for entry in temperatures), default=None) if temperatures else None


def meanings(bits: int) -> list[str]:
    """Return what the firmware's throttling word says of this moment."""
    return [meaning for bit, meaning in enumerate(_MEANINGS) if bits >> bit & 1]


def since_boot(bits: int) -> list[str]:
    """Return what the firmware's throttling word says has happened since the machine was started."""
    return meanings(bits >> _SINCE_BOOT_SHIFT)


def find_vcgencmd(sources: Sources = MACHINE) -> str | None:
    """Return the firmware's tool of a Raspberry Pi; None elsewhere."""
    return next((path for path in sources.vcgencmd if os.access(path, os.X_OK)), None)


def run_tool(command: list[str]) -> str | None:
    """Return what a program prints; None where it fails or hangs."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TOOL_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() or None


def _temperature_files(sources: Sources) -> list[tuple[str, Path]]:
    zones = [
        (text(zone / "type"), zone / "temp")
        for zone in listing(sources.sys / "class/thermal", "thermal_zone*")
    ]
    if not any(number(path) is not None for _, path in zones):
        inputs = listing(sources.sys / "class/hwmon", "hwmon*/temp*_input")
        zones = [(text(path.parent / "name"), path) for path in inputs]
    return [(name or path.parent.name, path) for name, path in zones]


def _cpu_cooling_devices(sources: Sources) -> list[tuple[str, Path]]:
    """Return the cooling devices that cool by slower CPUs, not by fans.

    Source: Linux, drivers/thermal/cpufreq_cooling.c ("cpufreq-<name>", once "thermal-cpufreq-<number>"),
    drivers/acpi/processor_thermal.c ("Processor").
    """
    devices = listing(sources.sys / "class/thermal", "cooling_device*")
    named = [(text(device / "type") or "", device / "cur_state") for device in devices]
    return [(name, path) for name, path in named if "cpufreq" in name or name == "Processor"]


def _hertz(cpu: Path, *names: str) -> int | None:
    """Return a core's clock from the first file that holds one; the kernel counts in kHz."""
    found = next((value for value in (number(cpu / name) for name in names) if value), None)
    return found * 1000 if found else None


def _known(values: list[Any]) -> list[Any] | None:
    """Return a list with an entry for each core; None where nothing is known of any."""
    return None if all(value is None for value in values) else values
