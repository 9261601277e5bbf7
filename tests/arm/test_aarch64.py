"""The main job on 64-bit Arm: Debian's Python, the wheels of a Raspberry Pi, and a CPU that miscomputes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.toolchain.errors import AgentError
from tests.arm.outputs import device_outputs, golden_outputs, within_tolerance

if TYPE_CHECKING:
    from tests.arm.board import Board
    from tests.arm.conftest import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(600), pytest.mark.xdist_group("arm64")]


@pytest.fixture(scope="module")
def first(pi: Board, workplace: Workplace, packages: dict[str, Path]) -> dict[str, Any]:
    """The first deployment: the float package, and with it the runtime."""
    return workplace.deploy(packages["float32"], "pi")


@pytest.fixture(scope="module")
def second(first: dict[str, Any], workplace: Workplace, packages: dict[str, Path]) -> dict[str, Any]:
    """The second one: the int8 package takes the float package's place."""
    return workplace.deploy(packages["int8"], "pi")


def test_facts_of_the_board(pi: Board, workplace: Workplace) -> None:
    [found] = workplace.edgepack("devices", "check", "--device", "pi").document["devices"]
    facts = found["facts"]
    assert (facts["machine"], facts["libc"]) == ("aarch64", {"kind": "glibc", "version": "2.36"})
    assert facts["libstdcxx"] == {"glibcxx": "3.4.30", "cxxabi": "1.3.13"}
    python = facts["python"]
    assert (python["version"][:5], python["abi"], python["bits"]) == ("3.11.", "cp311", 64)
    assert (facts["hostname"], facts["cpu"]["model"], facts["governor"]) == ("pi4", "Cortex-A72", "ondemand")
    assert {"asimd", "crc32"} <= set(facts["cpu"]["features"])
    assert facts["clocks_hz"] == [600_000_000] * 4
    assert (facts["system_runtime"], facts["ssh_keygen"]) == (None, "/usr/bin/ssh-keygen")
    assert not [each for each in found["findings"] if each["level"] == "missing"]


def test_runtime_comes_from_real_wheels(first: dict[str, Any], pi: Board) -> None:
    assert (first["runtime"]["kind"], first["runtime"]["source"]) == ("litert", "provisioned")
    note = json.loads(pi.ssh("cat /root/.edgepack/runtimes/*/runtime.json"))
    litert, numpy = sorted(name for name, _ in note["wheels"])
    assert litert.startswith(f"ai_edge_litert-{first['runtime']['version']}-cp311-")
    assert numpy.startswith("numpy-")
    assert all(name.endswith("aarch64.whl") for name in (litert, numpy))
    assert "x86" not in pi.ssh("find /root/.edgepack/runtimes -name '*.so' | head -300")


def test_float_model_computes_what_the_host_computes(
    first: dict[str, Any], pi: Board, packages: dict[str, Path]
) -> None:
    assert within_tolerance(first["golden"])
    expected, tolerance = golden_outputs(packages["float32"])
    assert np.abs(device_outputs(pi, first["package_id"]) - expected).max() <= tolerance < 1e-4


def test_int8_model_computes_what_the_host_computes(
    first: dict[str, Any], second: dict[str, Any], pi: Board, packages: dict[str, Path]
) -> None:
    assert (second["runtime"]["source"], second["previous"]) == ("installed", first["package_id"])
    assert second["sent_bytes"] < 1_000_000  # the runtime is there already
    assert within_tolerance(second["golden"])
    expected, tolerance = golden_outputs(packages["int8"])
    assert np.abs(device_outputs(pi, second["package_id"]) - expected).max() <= tolerance <= 3


def test_bench(second: dict[str, Any], workplace: Workplace, packages: dict[str, Path]) -> None:
    run = workplace.bench(packages["int8"], "pi", batches="1,2", threads="2")
    assert (run["device"]["name"], run["target"], run["runtime"]["kind"]) == ("pi", "rpi", "litert")
    assert run["emulated"]
    assert [(each["batch"], each["threads"]) for each in run["configurations"]] == [(1, 2), (2, 2)]
    assert all(len(each["samples_ns"]) >= 5 and min(each["samples_ns"]) > 0 for each in run["configurations"])
    metrics = {metric["name"]: metric for metric in run["metrics"]}
    assert metrics["peak_memory"]["value"] > 10e6
    assert metrics["quality_device"]["value"] == pytest.approx(0.89, abs=0.01)


def test_board_that_miscomputes_is_refused(
    first: dict[str, Any],
    second: dict[str, Any],
    pi: Board,
    workplace: Workplace,
    packages: dict[str, Path],
) -> None:
    expected, tolerance = golden_outputs(packages["int8"])
    if np.abs(device_outputs(pi, second["package_id"], wrong=True) - expected).max() <= tolerance:
        pytest.skip(
            "this version of QEMU computes right with QEMU_CPU=max: there is no board that miscomputes"
        )
    refused = workplace.edgepack("deploy", str(packages["int8"]), "--device", "broken-pi", status=9)
    [failure] = refused.document["failures"]
    assert (failure["kind"], failure["exit_code"]) == ("AgentError", 9)
    assert "Golden case" in failure["message"] and "quantized steps" in failure["message"]
    assert refused.document["deployments"] == []
    assert workplace.current("pi") == second["package_id"]
    # The same with another version in place: it stays, and the package is not even kept beside it.
    workplace.edgepack("rollback", "fashion", "--device", "pi")
    with pytest.raises(AgentError) as caught:
        workplace.deploy_in_process(packages["int8"], "broken-pi")
    assert caught.value.code == "golden_mismatch"
    assert workplace.current("pi") == first["package_id"]
