"""How far measured energy is from the energy that the kernel's power sensor was told, on an emulated device.

    python -m benchmarks energy [MODEL.tflite] [--windows 20] [--seconds 5] [--device rpi64-1]

`edgepack lab up rpi64` brings up a whole Arm machine with an INA226 behind the kernel's own driver. What its
registers hold is set while a benchmark runs, and logged with the device's own clock: the true energy of
every window is known. Twice: at a constant power, and with a power that steps between 2 W and 8 W and ramps
back, so that steps fall in the middle of windows. Shown is the relative error of each window's joules: of
their sum, the median, and the worst one; and how many of them the sensor's own uncertainty covers. The
latencies of an emulated device say nothing. Without a MODEL: MLPerf Tiny's keyword spotting, int8.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fidelity import MODELS, place
from benchmarks.timing import begin, end, leave_out, spread

if TYPE_CHECKING:
    from edgepack.toolchain.lab.machine import Machine
    from edgepack.toolchain.lab.power import Segment
    from edgepack.toolchain.results.window_record import Window

BAR = "the sum within 0.5 %"
CONSTANT_W = 5.0


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", default=MODELS / "kws_ref_model.tflite")
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a window")
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        leave_out(f"{options.model} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        place(Path(folder))
        os.environ["EDGEPACK_KNOWN_HOSTS"] = str(Path(folder) / "known_hosts")
        measure(options, Path(folder))


def measure(options: argparse.Namespace, folder: Path) -> None:
    import edgepack
    from edgepack.toolchain.api import own_signer
    from edgepack.toolchain.devices import trust_signer
    from edgepack.toolchain.errors import LabError
    from edgepack.toolchain.lab.control import down, machine, up
    from edgepack.toolchain.lab.power import hold, ramp

    inventory = folder / "lab.toml"
    try:
        [brought] = up("rpi64", size=1, inventory=inventory)
    except LabError as err:
        leave_out(str(err))
    try:
        name = brought.device.name
        trust_signer(name, own_signer(), replace=False, lab=inventory)
        package = edgepack.build(options.model, target="rpi4", precision="float32", project=folder).package
        edgepack.deploy(package, device=name, lab=inventory)
        board = machine(name)
        length_s = options.windows * (options.seconds + 2) + 4 * options.seconds + 60
        curves = {
            f"constant {CONSTANT_W:g} W": [],
            "steps of 2 and 8 W, and ramps": [
                part
                for _ in range(int(length_s / 2))
                for part in (
                    hold(0.7, watts=2.0),
                    hold(0.7, watts=8.0),
                    ramp(0.6, start_watts=8.0, end_watts=2.0),
                )
            ],
        }
        for title, curve in curves.items():
            begin(f"{title}, {options.windows} windows of {options.seconds:g} s on {name} (emulated)")
            errors, covered = compare(board, curve, package, options, folder)
            print(f"  error of the sum: {errors.pop():+.3%}  [bar: {BAR}]")
            print(f"  error of a window: {spread([100 * each for each in errors])} %")
            print(f"  worst window: {max(errors, key=abs):+.3%}; covered by its uncertainty: {covered:.0%}")
            end()
    finally:
        down([brought.device.name])


def compare(
    board: Machine, curve: list[Segment], package: Path, options: argparse.Namespace, folder: Path
) -> tuple[list[float], float]:
    """Measure once.

    Returns:
        The relative error of each window's energy, that of their sum last; and the share of windows whose
        uncertainty covers their error.
    """
    import edgepack
    from edgepack.toolchain.results.job_record import ConfigurationSamples
    from edgepack.toolchain.results.window_record import PowerReading

    board.set_power(CONSTANT_W)
    if curve:
        board.play_power(curve)
    record = edgepack.bench(
        package,
        device=board.device.name,
        lab=folder / "lab.toml",
        project=folder,
        batches=(1,),
        threads=(1,),
        windows=options.windows,
        min_seconds=options.seconds,
        memory=False,
        evaluation=False,
        power="hwmon:ina226",
    )
    log = board.power_log()
    [found] = record.configurations
    assert isinstance(found, ConfigurationSamples), found
    pairs = []
    for window in found.windows:
        assert isinstance(window.power, PowerReading), window.power
        pairs.append((window.power, log.energy_j(*span(window))))
    errors = [reading.joules / truth - 1 for reading, truth in pairs]
    covered = [abs(reading.joules - truth) <= reading.uncertainty_j for reading, truth in pairs]
    errors.append(sum(reading.joules for reading, _ in pairs) / sum(truth for _, truth in pairs) - 1)
    return errors, sum(covered) / len(covered)


def span(window: Window) -> tuple[int, int]:
    """Return the start and end of a window's power reading, which is a little longer than the window."""
    from edgepack.toolchain.results.window_record import PowerReading

    assert isinstance(window.power, PowerReading)
    start = window.start_clock_ns - (window.power.duration_ns - window.window_ns) // 2
    return start, start + window.power.duration_ns


if __name__ == "__main__":
    main()
