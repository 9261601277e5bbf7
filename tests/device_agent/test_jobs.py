"""Benchmarks as jobs: what is measured, and what a job survives."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.device_agent.conftest import (
    OWNER,
    AgentError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_agent.conftest import Agent, BuiltPackage

    Build = Callable[..., BuiltPackage]

QUICK = {
    "windows": 1,
    "min_runs": 20,
    "min_seconds": 0.02,
    "warmup_min_seconds": 0.0,
    "warmup_max_seconds": 0.05,
}
LATENCY_ONLY = {"memory": False, "evaluation": False}
LONG = {**QUICK, **LATENCY_ONLY, "min_seconds": 60, "max_seconds": 60}


def start(agent: Agent, **spec: Any) -> str:
    return agent.ask("bench.start", name="dense", owner=OWNER, spec={**QUICK, **spec})["job_id"]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes_of(job_id: str) -> list[int]:
    """The living processes of a job's session, found by its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if job_id.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def test_a_job_survives_its_agent(
    device: Agent, start_agent: Callable[..., Agent], package: BuiltPackage
) -> None:
    job = start(device, **LATENCY_ONLY)
    device.kill()
    agent = start_agent()
    (found,) = agent.ask("jobs.list")["jobs"]
    expected = {
        "job_id": job, "state": "running", "name": "dense", "owner": OWNER, "package_id": package.package_id,
        "tag": None, "labels": {}, "record_bytes": None, "error": None,
    }  # fmt: skip
    assert {**found, **expected} == found
    assert found["created_unix_ns"] > 0
    with pytest.raises(AgentError, match=f"busy: {OWNER} is benchmarking dense"):
        agent.install(package)
    with pytest.raises(AgentError, match="bad_request"):
        agent.ask("jobs.ack", job_id=job)
    assert agent.ask("jobs.wait", job_id=job)["state"] == "finished"
    assert agent.fetch(job)["configurations"][0]["windows"][0]["samples_ns"]
    agent.ask("jobs.ack", job_id=job)
    assert agent.install(package)["already_installed"] is True


def test_cancel_ends_every_process_and_frees_the_device(device: Agent, package: BuiltPackage) -> None:
    job = start(device, **LONG)
    wait_number = device.send("jobs.wait", job_id=job)
    while device.read().get("stage") != "batch 1, 1 thread":
        pass
    time.sleep(0.5)
    (leader,) = processes_of(job)
    cancel_number = device.send("jobs.cancel", job_id=job)
    answers = [message for message in (device.read(), device.read()) if message["type"] != "progress"]
    assert [answer["id"] for answer in answers] == [wait_number, cancel_number]
    assert [answer["state"] for answer in answers] == ["running", "cancelled"]
    wait_until(lambda: not processes_of(job))
    wait_until(lambda: not group_members(leader))
    with pytest.raises(AgentError, match=r"job_failed.*cancelled"):
        device.ask("jobs.fetch", job_id=job)
    assert device.ask("jobs.cancel", job_id=job)["state"] == "cancelled"
    assert device.install(package)["already_installed"] is True
    device.ask("jobs.ack", job_id=job)


def group_members(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(path.name))
    return found


def test_a_job_that_was_killed_is_lost(device: Agent, package: BuiltPackage) -> None:
    job = start(device, **LONG)
    (leader,) = processes_of(job)
    os.killpg(leader, signal.SIGKILL)
    assert device.ask("jobs.wait", job_id=job)["state"] == "lost"
    with pytest.raises(AgentError, match="job_failed"):
        device.ask("jobs.fetch", job_id=job)
    assert device.install(package)["already_installed"] is True, "its lease is void"


def test_a_record_of_another_boot_is_lost_not_running(device: Agent, work_dir: Path) -> None:
    job = start(device, **LONG)
    note_path = work_dir / "jobs" / job / "process.json"
    leader = json.loads(note_path.read_text())["pid"]
    note_path.write_text(json.dumps({**json.loads(note_path.read_text()), "boot_id": "another"}))
    assert device.ask("jobs.cancel", job_id=job)["state"] == "lost", "and no stranger's process is killed"
    os.killpg(leader, signal.SIGKILL)


def test_bench_needs_a_package(agent: Agent) -> None:
    with pytest.raises(AgentError, match="not_installed"):
        start(agent)
    assert agent.ask("jobs.list")["jobs"] == []
    with pytest.raises(AgentError, match="no_such_job"):
        agent.ask("jobs.wait", job_id="20260101T000000-00000000")
