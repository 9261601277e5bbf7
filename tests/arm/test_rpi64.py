"""The main job on a whole 64-bit Arm machine: its own kernel and power sensor, real wheels, power cuts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.toolchain.errors import NetworkError
from edgepack.toolchain.lab.power import hold, ramp
from tests.arm.conftest import emulated
from tests.arm.outputs import device_outputs, golden_outputs, within_tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.toolchain.lab.machine import Machine
    from tests.arm.conftest import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAME = "rpi64-1"
_ENERGY = ("--power", "hwmon:ina226", "--no-accuracy")
_POWER = "cat /sys/class/hwmon/*/name; cat /sys/class/hwmon/*/power1_input"


@pytest.fixture(scope="module")
def pi(workplace: Workplace) -> Iterator[Machine]:
    with emulated(workplace, "rpi64") as running:
        yield running


@pytest.fixture(scope="module")
def first(pi: Machine, workplace: Workplace, packages: dict[str, Path]) -> dict[str, Any]:
    """The first deployment: the int8 package, and with it the runtime."""
    return workplace.deploy(packages["int8"], NAME)


def test_facts_of_the_machine(pi: Machine, workplace: Workplace) -> None:
    [found] = workplace.edgepack("devices", "check", "--device", NAME).document["devices"]
    facts = found["facts"]
    assert (facts["machine"], facts["libc"]) == ("aarch64", {"kind": "glibc", "version": "2.36"})
    assert facts["model"].startswith("Raspberry Pi 4 Model B")
    assert facts["python"]["abi"] == "cp311"
    assert (facts["hostname"], facts["cpu"]["count"], facts["cpu"]["model"]) == (NAME, 4, "Cortex-A72")
    assert {"asimd", "crc32"} <= set(facts["cpu"]["features"])
    assert "ina226" in json.dumps(facts["power_sensors"])
    assert not [each for each in found["findings"] if each["level"] == "missing"]


def test_power_sensor_reads_what_was_set(pi: Machine) -> None:
    for watts in (5.0, 0.0, 12.5, 40.0):
        pi.set_power(watts)
        assert pi.run(["sh", "-c", _POWER]).split() == ["ina226", str(round(watts * 1e6))]


def test_power_curve_has_the_energy_that_was_asked_for(pi: Machine) -> None:
    """The kernel's sensor, read on the device while the curve plays, gives the integral of the curve."""
    curve = [hold(1.0, watts=4.0), ramp(1.0, start_watts=4.0, end_watts=8.0), hold(1.0, watts=8.0)]
    pi.set_power(2.0)
    pi.play_power([*curve, hold(0.1, watts=2.0)])
    time.sleep(4)
    log = pi.power_log()
    [started] = [at for at, watts in log.changes if watts == 4.0][:1]
    joules = log.energy_j(started, started + 3_000_000_000)
    assert joules == pytest.approx(sum(part.energy_j for part in curve), rel=0.02)
    assert log.changes[-1][1] == 2.0
    assert len({watts for _, watts in log.changes if 4 < watts < 8}) > 5  # the ramp has steps


def test_battery_can_be_added(pi: Machine) -> None:
    pi.add_battery()
    assert "test_battery" in pi.run(["ls", "/sys/class/power_supply"])


def test_runtime_comes_from_real_wheels(first: dict[str, Any], pi: Machine) -> None:
    assert (first["runtime"]["kind"], first["runtime"]["source"]) == ("litert", "provisioned")
    note = json.loads(pi.run(["sh", "-c", "cat /root/.edgepack/runtimes/*/runtime.json"]))
    litert, numpy = sorted(name for name, _ in note["wheels"])
    assert litert.startswith(f"ai_edge_litert-{first['runtime']['version']}-cp311-")
    assert numpy.startswith("numpy-")
    assert all(name.endswith("aarch64.whl") for name in (litert, numpy))


def test_model_computes_what_the_host_computes(
    first: dict[str, Any], pi: Machine, packages: dict[str, Path]
) -> None:
    assert within_tolerance(first["golden"])
    expected, tolerance = golden_outputs(packages["int8"])
    assert np.abs(device_outputs(pi.run, first["package_id"]) - expected).max() <= tolerance <= 3


def test_energy_is_that_of_known_watts(
    first: dict[str, Any], pi: Machine, workplace: Workplace, packages: dict[str, Path]
) -> None:
    """From the kernel's sensor to the record: 5 W for as long as a window lasts."""
    pi.set_power(5.0)
    run = workplace.bench(packages["int8"], NAME, *_ENERGY, "--windows", "2", "--min-seconds", "4")
    assert run["emulated"] and (run["target"], run["runtime"]["kind"]) == ("rpi4", "litert")
    [configuration] = run["configurations"]
    for window in configuration["windows"]:
        power = window["power"]
        assert power["sensor"] == "hwmon:ina226" and power["coverage"] > 0.5
        assert power["joules"] == pytest.approx(5.0 * power["duration_ns"] / 1e9, rel=0.01)
        assert len(window["samples_ns"]) >= 5 and min(window["samples_ns"]) > 0
    metrics = {metric["name"]: metric for metric in run["metrics"]}
    assert metrics["average_power"]["value"] == pytest.approx(5.0, rel=0.01)
    durations = {window["window_ns"] / window["runs"] / 1e9 for window in configuration["windows"]}
    each = metrics["energy_per_inference"]["value"] / 5.0
    # What is measured is a little longer than the window: asking and answering takes time on this machine.
    assert min(durations) * 0.99 <= each <= max(durations) * 1.05


def test_energy_of_steps_within_a_window(
    first: dict[str, Any], pi: Machine, workplace: Workplace, packages: dict[str, Path]
) -> None:
    """The power changes all the time; what the device logged when it set it gives the true energy."""
    pi.set_power(2.0)
    pi.play_power([hold(2.0, watts=watts) for _ in range(90) for watts in (2.0, 8.0)])
    run = workplace.bench(packages["int8"], NAME, *_ENERGY, "--windows", "1", "--min-seconds", "8")
    log = pi.power_log()
    [configuration] = run["configurations"]
    [window] = configuration["windows"]
    start = window["start_clock_ns"]
    expected = log.energy_j(start, start + window["power"]["duration_ns"])
    # On a busy host the emulated sampler gets a turn three times a second: each step is seen late.
    assert window["power"]["joules"] == pytest.approx(expected, rel=0.1)
    assert window["power"]["peak_w"] == pytest.approx(8.0, abs=0.01)


def test_power_cut_while_a_benchmark_runs(
    first: dict[str, Any], pi: Machine, workplace: Workplace, packages: dict[str, Path]
) -> None:
    """The benchmark is lost, and said to be; one that had finished is brought home after the cut."""
    options = ("--batches", "1", "--threads", "1", "--no-memory", "--no-profile", "--no-accuracy", "--detach")
    package = str(packages["int8"])
    workplace.edgepack("bench", package, "--device", NAME, "--quick", "--windows", "1", *options)
    deadline = time.monotonic() + 300
    while _states(workplace) != ["finished"] and time.monotonic() < deadline:
        time.sleep(1)
    workplace.edgepack("bench", package, "--device", NAME, "--min-seconds", "60", *options)
    pi.power_cut()
    pi.wait_until_up()
    assert sorted(_states(workplace)) == ["finished", "lost"]
    answer = workplace.edgepack("collect", "--device", NAME, status=None)
    assert "runs" in answer.document, answer.document
    [run] = answer.document["runs"]
    assert run["package"]["package_id"] == first["package_id"]
    assert "finished" not in _states(workplace)


def _states(workplace: Workplace) -> list[str]:
    jobs = workplace.edgepack("jobs", "--device", NAME).document["jobs"]
    return [job["state"] for job in jobs]


def test_power_cut_while_a_package_is_installed(
    first: dict[str, Any], pi: Machine, workplace: Workplace, packages: dict[str, Path]
) -> None:
    """The old version stays, and the next deployment goes on from there; then back to the old one."""
    boot = pi.run(["cat", "/proc/sys/kernel/random/boot_id"])
    seen: list[str] = []

    def cut_at_the_golden_run(stage: str, done: int, total: int) -> None:
        if stage == "golden" and "golden" not in seen:
            pi.power_cut()
        seen.append(stage)

    with pytest.raises(NetworkError):
        workplace.deploy_in_process(packages["float32"], NAME, cut_at_the_golden_run)
    assert "golden" in seen
    pi.wait_until_up()
    assert pi.run(["cat", "/proc/sys/kernel/random/boot_id"]) != boot
    assert workplace.current(NAME) == first["package_id"]
    again = workplace.deploy(packages["float32"], NAME)
    assert (again["previous"], again["runtime"]["source"]) == (first["package_id"], "installed")
    assert pi.run(["ls", "/root/.edgepack/tmp"]) == ""
    workplace.edgepack("rollback", "fashion", "--device", NAME)
    assert workplace.current(NAME) == first["package_id"]


def test_link_is_cut_and_mended(pi: Machine, workplace: Workplace) -> None:
    pi.link(up=False)
    try:
        refused = workplace.edgepack("devices", "check", "--device", NAME, status=8)
        [failure] = refused.document["failures"]
        assert failure["kind"] == "NetworkError"
    finally:
        pi.link(up=True)
    pi.wait_until_up()
    assert pi.run(["uname", "-m"]) == "aarch64\n"
