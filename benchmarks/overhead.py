"""What the agent costs while it measures: its CPU, its memory, what sampling power does to latency.

    python -m benchmarks overhead [MODEL.tflite] [--repeats 20] [--seconds 1]

The model is built as the user's would be, installed on the device `local`, and measured by `edgepack.bench`,
in turn without and with a power sensor. Where this machine has none, the files of an INA226 are put where the
kernel would show them, in a mount namespace of this benchmark's own (needs root): reading them costs what
reading a kernel's costs, but for the I2C transfer. Shown are the ratio of the latencies, and of the job's
process (which reads the device's state and the sensor while the model runs in another one) the CPU time over
the length of the job and the peak memory. Without a MODEL: MLPerf Tiny's image classifier, int8.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fidelity import MODELS, place
from benchmarks.timing import begin, end, interleave, leave_out, python, ratio, show, spread

if TYPE_CHECKING:
    from collections.abc import Callable

BAR = "within 1 %"
INSIDE = "EDGEPACK_BENCHMARK_INSIDE"
CLASSES = Path("/sys/class")
HWMON = CLASSES / "hwmon"
# All classes of the kernel's devices as they are, but for hwmon.
_SENSOR_AMONG_CLASSES = """
mount --bind "$2" "$1"; mount -t tmpfs tmpfs "$2"
for class in "$1"/*; do ln -s "$class" "$2"; done
rm -f "$2/hwmon"; mkdir -p "$2/hwmon/hwmon0"
shift 2; exec "$@"
"""
SENSOR = {"name": "ina226", "power1_input": "2500000", "in1_input": "5000", "curr1_input": "500"}


@dataclass(frozen=True)
class Measured:
    """One run: latencies in nanoseconds, and what the job's process took."""

    p50_ns: float
    p90_ns: float
    cpu_share: float
    memory_mib: float


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", default=MODELS / "pretrainedResnet_quant.tflite")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a window; there are five")
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        leave_out(f"{options.model} does not exist")
    if INSIDE not in os.environ:
        words = [str(options.model), "--repeats", str(options.repeats), "--seconds", str(options.seconds)]
        raise SystemExit(in_a_namespace(words))
    with tempfile.TemporaryDirectory() as folder:
        place(Path(folder))
        compare(options, Path(folder))


def in_a_namespace(words: list[str]) -> int:
    """Run this again where the files of a sensor lie, and return its status."""
    if os.geteuid() != 0 or not CLASSES.is_dir():
        leave_out("it needs root and /sys/class")
    with tempfile.TemporaryDirectory() as kept:
        command = ["unshare", "--mount", "sh", "-ec", _SENSOR_AMONG_CLASSES, "sh", kept, str(CLASSES)]
        command += python("-m", "benchmarks.overhead", *words)
        return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode


def compare(options: argparse.Namespace, folder: Path) -> None:
    import edgepack

    for name, text in SENSOR.items():
        (HWMON / "hwmon0" / name).write_text(f"{text}\n", encoding="ascii")
    package = edgepack.build(
        options.model, target="linux-x86_64", precision="float32", project=folder
    ).package
    edgepack.deploy(package)

    def side(power: str) -> Callable[[], Measured]:
        return lambda: measure(package, power, options, folder)

    begin(f"{options.model.name}, five windows of {options.seconds:g} s: with and without a power sensor")
    sides = {"no sensor": side("none"), "hwmon:ina226": side("hwmon:ina226")}
    results = interleave(sides, options.repeats)
    without, sampled = results["no sensor"], results["hwmon:ina226"]
    show("latency p50, ratio", ratio([r.p50_ns for r in sampled], [r.p50_ns for r in without]), bar=BAR)
    show("latency p90, ratio", ratio([r.p90_ns for r in sampled], [r.p90_ns for r in without]), bar=BAR)
    for name, runs in results.items():
        share = spread([100 * run.cpu_share for run in runs])
        show(f"the job's process, {name}: CPU", share, unit="% of a core")
        show(f"the job's process, {name}: memory", spread([run.memory_mib for run in runs]), unit="MiB")
    end()


def measure(package: Path, power: str, options: argparse.Namespace, folder: Path) -> Measured:
    """Measure once, watching the job's process."""
    import edgepack

    watch = Watch()
    watch.start()
    try:
        record = edgepack.bench(
            package,
            project=folder,
            batches=(1,),
            threads=(1,),
            min_seconds=options.seconds,
            memory=False,
            evaluation=False,
            power=power,
        )
    finally:
        watch.stop()
    p50_ns, p90_ns = (record.value("latency", how) for how in ("p50", "p90"))
    assert p50_ns is not None and p90_ns is not None, record.configurations
    return Measured(p50_ns, p90_ns, watch.cpu_s / watch.seen_s, watch.memory_bytes / 2**20)


class Watch(threading.Thread):
    """Looks at the job's process ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._first = self._last = 0.0
        self.cpu_s = 0.0
        self.memory_bytes = 0

    @property
    def seen_s(self) -> float:
        """For how long the process was seen."""
        return max(self._last - self._first, 1e-9)

    def run(self) -> None:
        """Look until it is over."""
        while not self._over.wait(0.1):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    self._look(folder)
                except (OSError, ValueError, IndexError):
                    continue

    def _look(self, folder: Path) -> None:
        words = (folder / "cmdline").read_bytes().split(b"\0")
        if b"job" not in words or not any(b"edgepack-agent" in word for word in words):
            return
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        status = (folder / "status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
        self._first = self._first or time.monotonic()
        self._last = time.monotonic()
        self.cpu_s, self.memory_bytes = cpu_s, max(self.memory_bytes, peak)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


if __name__ == "__main__":
    main()
