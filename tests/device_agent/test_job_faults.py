"""What finished records survive: full disks, killed agents, damaged files, impatient users."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.device_agent.conftest import OWNER, AgentError, sha256
from tests.device_agent.test_jobs import LATENCY_ONLY, LONG, QUICK, processes_of, start, wait_until
from tests.device_agent.test_record_file import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.device_agent.conftest import Agent, BuiltPackage


@pytest.fixture
def small_device(
    tmp_path: Path, work_dir: Path, start_agent: Callable[..., Agent], package: BuiltPackage
) -> Iterator[tuple[Agent, Path]]:
    """A device with the package whose disk has 16 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine does not allow mounts")
    shutil.copytree(work_dir, disk / "device", symlinks=True)
    agent = start_agent(work=disk / "device")
    agent.upload(package)
    agent.install(package)
    yield agent, disk / "device"
    agent.kill()
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_up_meanwhile_loses_nothing(small_device: tuple[Agent, Path]) -> None:
    agent, work = small_device
    job = start(agent, **{**LATENCY_ONLY, "min_seconds": 1.5})
    filler = fill(work)
    assert agent.ask("jobs.wait", job_id=job)["state"] == "finished"
    assert agent.fetch(job)["configurations"][0]["windows"], "it was written into the room taken before"
    filler.unlink()
    agent.ask("jobs.ack", job_id=job)


def test_a_record_without_room_waits_and_lets_others_make_space(
    small_device: tuple[Agent, Path], package: BuiltPackage
) -> None:
    agent, work = small_device
    job = start(agent, **{**LATENCY_ONLY, "min_seconds": 1.5})
    os.truncate(work / "jobs" / job / "record.new", 0)  # as if the record had outgrown it
    filler = fill(work)
    wait_until(lambda: agent.ask("jobs.list")["jobs"][0]["stage"] == "waiting for disk space")
    assert agent.ask("jobs.list")["jobs"][0]["state"] == "running"
    wait_until(lambda: agent.ask("lease.get")["lease"] is None)  # whoever removes a package needs it
    filler.unlink()
    assert agent.ask("jobs.wait", job_id=job)["state"] == "finished"
    assert agent.fetch(job)["configurations"][0]["windows"]


def test_a_disk_without_room_for_a_record_is_told_before_the_work(small_device: tuple[Agent, Path]) -> None:
    agent, work = small_device
    fill(work)
    with pytest.raises(AgentError, match="disk_full"):
        start(agent, **LATENCY_ONLY)
    assert agent.ask("jobs.list")["jobs"] == []
    assert agent.ask("lease.get")["lease"] is None


@pytest.mark.slow
def test_an_agent_killed_while_it_starts_a_job(
    device: Agent, start_agent: Callable[..., Agent], work_dir: Path
) -> None:
    """At any moment: the job is there and finishes, or it is not there; and the device is free afterwards."""
    rng = random.Random(3)
    agent = device
    for _ in range(8):
        agent.send("bench.start", name="dense", owner=OWNER, spec={**QUICK, **LATENCY_ONLY})
        time.sleep(rng.uniform(0, 0.15))
        agent.kill()
        agent = start_agent()
        for job in agent.ask("jobs.list")["jobs"]:
            assert agent.ask("jobs.wait", job_id=job["job_id"])["state"] in ("finished", "lost")
            agent.ask("jobs.ack", job_id=job["job_id"])
        while agent.ask("lease.get")["lease"] is not None:
            time.sleep(0.05)
    agent.kill()
    start_agent()
    assert not list((work_dir / "jobs").iterdir()), "what never started is cleaned up"


def test_a_damaged_record_is_reported_and_not_sent(device: Agent, work_dir: Path) -> None:
    job = start(device, **LATENCY_ONLY)
    device.ask("jobs.wait", job_id=job)
    path = work_dir / "jobs" / job / "record"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    (listed,) = device.ask("jobs.list")["jobs"]
    assert (listed["state"], listed["error"]["code"]) == ("damaged", "damaged")
    with pytest.raises(AgentError, match="damaged"):
        device.ask("jobs.fetch", job_id=job)
    device.ask("jobs.ack", job_id=job)


def test_stealing_from_a_benchmark(device: Agent, start_agent: Callable[..., Agent]) -> None:
    job = start(device, **LONG)
    other = start_agent()
    asked = {"name": "dense", "owner": "bob@pc", "spec": {**QUICK, **LATENCY_ONLY}}
    with pytest.raises(AgentError, match="busy") as caught:
        other.ask("bench.start", **asked)
    assert f"{OWNER} is benchmarking dense" in caught.value.answer["message"]
    assert other.ask("lease.get")["lease"]["job_id"] == job
    with pytest.raises(AgentError, match="'steal' gives no reason"):
        other.ask("bench.start", **asked, steal="\n")
    stolen = other.ask("bench.start", **asked, steal="the demo is at noon")["job_id"]
    assert not processes_of(job)
    answer = device.ask("jobs.wait", job_id=job)
    assert (answer["state"], answer["error"]["code"]) == ("failed", "stolen")
    assert answer["error"]["message"] == "bob@pc took this device over: the demo is at noon."
    assert other.ask("jobs.wait", job_id=stolen)["state"] == "finished"
    record = other.fetch(stolen)
    assert (record["stolen_from"], record["steal_reason"]) == (OWNER, "the demo is at noon")


def test_stealing_from_an_installation(
    agent: Agent, start_agent: Callable[..., Agent], package: BuiltPackage, work_dir: Path
) -> None:
    agent.upload(package)
    agent.send("install", **agent.install_fields(package))
    lease = work_dir / "lease.json"
    wait_until(lease.exists)
    other = start_agent()
    assert other.ask("install", **other.install_fields(package), steal="mine is urgent")["name"] == "dense"
    with pytest.raises(AgentError, match=r"stolen: .* took this device over: mine is urgent"):
        agent.answer()
    assert agent.process.wait(10) == 143
    assert not list(work_dir.glob("store/*.new-*"))


def test_a_package_stays_as_long_as_a_record_needs_it(
    device: Agent, package: BuiltPackage, build: Callable[..., BuiltPackage], work_dir: Path
) -> None:
    job = start(device, **LATENCY_ONLY)
    device.ask("jobs.wait", job_id=job)
    for number in range(2):
        newer = build(provenance={"version": str(number)})
        device.upload(newer)
        device.install(newer)
    assert fetch_file(device, package.package_id, "manifest.json") == package.manifest
    assert fetch_file(device, package.package_id, "labels.txt") == package.files["labels.txt"]
    device.ask("jobs.ack", job_id=job)
    device.install(newer)
    assert not (work_dir / "store" / package.package_id).exists(), "nobody needs it any more"
    with pytest.raises(AgentError, match="not_installed"):
        fetch_file(device, package.package_id, "manifest.json")


@pytest.mark.parametrize(
    "path", ["../../lease.lock", "/etc/passwd", "manifest.json/..", "absent", "", "golden"]
)
def test_only_files_of_the_package_are_handed_out(device: Agent, package: BuiltPackage, path: str) -> None:
    with pytest.raises(AgentError, match="not_installed"):
        fetch_file(device, package.package_id, path)


def test_a_link_in_the_store_is_not_followed(device: Agent, package: BuiltPackage, work_dir: Path) -> None:
    path = work_dir / "store" / package.package_id / "labels.txt"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(AgentError, match="io_error"):
        fetch_file(device, package.package_id, "labels.txt")


def fetch_file(agent: Agent, package_id: str, path: str) -> bytes:
    answer: dict[str, Any] = agent.ask("package.fetch", package_id=package_id, path=path)
    data = agent.process.stdout.read(answer["size_bytes"])
    assert sha256(data) == answer["sha256"]
    return bytes(data)


def test_health_says_what_matters_now(device: Agent) -> None:
    health = device.ask("health")
    assert health["free_bytes"] > 0
    assert abs(health["unix_ns"] - time.time_ns()) < 60e9
    assert health["lease"] is None
    assert set(health) >= {"throttling", "temperatures_c", "load_1min"}
    json.dumps(health, allow_nan=False)
