"""A real job that sets the governor and is killed. A mount namespace lays files over the kernel's CPUs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.device_agent.conftest import OWNER
from tests.device_agent.test_jobs import processes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_agent.conftest import Agent, BuiltPackage

CPUS = "/sys/devices/system/cpu"
SPEC = {
    "governor": "performance",
    "memory": False,
    "evaluation": False,
    "windows": 1,
    "warmup_max_seconds": 0.05,
}


@pytest.fixture
def governor_file(tmp_path: Path) -> Path:
    """A copy of this machine's CPUs that has a governor."""
    for name in ("online", "possible", "present"):
        (tmp_path / "cpu").mkdir(exist_ok=True)
        shutil.copy(f"{CPUS}/{name}", tmp_path / "cpu" / name)
    path = tmp_path / "cpu/cpu0/cpufreq/scaling_governor"
    path.parent.mkdir(parents=True)
    path.write_text("ondemand\n")
    return path


@pytest.fixture
def device(
    start_agent: Callable[..., Agent], package: BuiltPackage, governor_file: Path, tmp_path: Path
) -> Agent:
    """An agent that sees these CPUs instead of the kernel's."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here: run as root")
    python = tmp_path / "python"
    mount = f'mount --bind {governor_file.parents[2]} {CPUS} && exec {sys.executable} "$@"'
    python.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{mount}' sh \"$@\"\n")
    python.chmod(0o755)
    agent = start_agent(python=str(python))
    agent.upload(package)
    agent.install(package)
    return agent


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_sets_it_and_puts_it_back(device: Agent, governor_file: Path) -> None:
    spec = {**SPEC, "min_seconds": 0.05}
    job = device.ask("bench.start", name="dense", owner=OWNER, spec=spec)["job_id"]
    assert device.ask("jobs.wait", job_id=job)["state"] == "finished"
    record = device.fetch(job)
    assert record["control"] == {"pinned": None, "governor": "performance", "refused": None}
    states = record["configurations"][0]["windows"][0]["states"]
    assert {state["governors"][0] for state in states} == {"performance"}
    assert governor_file.read_text().strip() == "ondemand"


@pytest.mark.parametrize("how", ["kill -9", "cancel"])
def test_it_is_put_back_when_the_job_is_ended(
    device: Agent, governor_file: Path, work_dir: Path, how: str
) -> None:
    spec = {**SPEC, "min_seconds": 60.0, "max_seconds": 60.0}
    job = device.ask("bench.start", name="dense", owner=OWNER, spec=spec)["job_id"]
    until(lambda: governor_file.read_text().strip() == "performance")
    assert (work_dir / "governor.json").exists()
    if how == "cancel":
        assert device.ask("jobs.cancel", job_id=job)["state"] == "cancelled"
    else:
        os.killpg(os.getpgid(processes_of(job)[0]), signal.SIGKILL)
    until(lambda: governor_file.read_text().strip() == "ondemand")
    until(lambda: not (work_dir / "governor.json").exists())
