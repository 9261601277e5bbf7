"""The main job with 32-bit programs on a 64-bit kernel: tflite-runtime's wheel, Debian's own NumPy."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.arm.conftest import emulated
from tests.arm.outputs import device_outputs, golden_outputs, within_tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.toolchain.lab.machine import Machine
    from tests.arm.conftest import Workplace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("EDGEPACK_TEST_ARMHF") != "1", reason="takes minutes; EDGEPACK_TEST_ARMHF=1 runs it"
    ),
]
NAME = "rpi32-1"


@pytest.fixture(scope="module")
def pi32(workplace: Workplace) -> Iterator[Machine]:
    with emulated(workplace, "rpi32") as running:
        yield running


@pytest.fixture(scope="module")
def deployed(pi32: Machine, workplace: Workplace, packages32: dict[str, Path]) -> dict[str, Any]:
    return workplace.deploy(packages32["int8"], NAME)


def test_facts_of_the_machine(pi32: Machine, workplace: Workplace) -> None:
    [found] = workplace.edgepack("devices", "check", "--device", NAME).document["devices"]
    facts = found["facts"]
    # As 32-bit Raspberry Pi OS on its 64-bit kernel: the kernel says aarch64, programs have 32 bits.
    assert (facts["machine"], facts["python"]["bits"], facts["python"]["abi"]) == ("aarch64", 32, "cp311")
    assert (facts["system_numpy"], facts["system_runtime"]) == ("1.24.2", None)
    assert "ina226" in json.dumps(facts["power_sensors"])
    assert not [each for each in found["findings"] if each["level"] == "missing"]


def test_runtime_is_tflite_runtime_with_the_boards_own_numpy(deployed: dict[str, Any], pi32: Machine) -> None:
    runtime = deployed["runtime"]
    assert (runtime["kind"], runtime["version"]) == ("tflite-runtime", "2.14.0")
    assert runtime["source"] == "provisioned"
    note = pi32.run(["sh", "-c", "cat /root/.edgepack/runtimes/*/runtime.json"])
    [(name, _)] = json.loads(note)["wheels"]
    assert name.startswith("tflite_runtime-2.14.0-cp311-") and name.endswith("armv7l.whl")


def test_board_computes_what_the_host_computes(
    deployed: dict[str, Any], pi32: Machine, packages32: dict[str, Path]
) -> None:
    assert within_tolerance(deployed["golden"])
    expected, tolerance = golden_outputs(packages32["int8"])
    found = device_outputs(pi32.run, deployed["package_id"], module="tflite_runtime.interpreter")
    assert np.abs(found - expected).max() <= tolerance <= 3


def test_bench(deployed: dict[str, Any], workplace: Workplace, packages32: dict[str, Path]) -> None:
    run = workplace.bench(packages32["int8"], NAME)
    assert (run["target"], run["runtime"]["kind"], run["runtime"]["numpy"]) == (
        "rpi-armv7",
        "tflite-runtime",
        "1.24.2",
    )
    metrics = {metric["name"]: metric for metric in run["metrics"]}
    assert metrics["latency"]["value"] > 0
    assert metrics["quality_device"]["value"] == pytest.approx(0.89, abs=0.01)
