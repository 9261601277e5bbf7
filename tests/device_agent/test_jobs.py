"""Benchmarks as jobs: what is measured, and what a job survives."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.device_agent.conftest import (
    OWNER,
    AgentError,
    dense_model,
    install_runtime,
    run_model,
    runtime_wheel,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_agent.conftest import Agent, BuiltPackage

    Build = Callable[..., BuiltPackage]

QUICK = {"min_runs": 20, "min_seconds": 0.02, "warmup_min_seconds": 0.0, "max_seconds": 5}
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


def test_a_record_holds_what_was_asked_for(
    device: Agent, package: BuiltPackage, contents: dict[str, bytes], work_dir: Path
) -> None:
    job = start(device, batches=[1, 3], threads=[1, 2], warmup_min_runs=5)
    assert device.ask("jobs.wait", job_id=job) == {"id": device._id, "type": "result", "state": "finished"}
    steps = [
        (step["stage"], step["done"], step["total"]) for step in device.progress if step["id"] == device._id
    ]
    assert steps[-1] == ("evaluation", 5, 6)
    record = device.fetch(job)
    assert (record["record"], record["job_id"], record["package_id"]) == (1, job, package.package_id)
    assert (record["name"], record["owner"], record["agent"]) == ("dense", OWNER, device.hello["agent"])
    assert record["runtime"]["source"] == "system"
    assert record["runtime"]["kind"] == "litert"
    assert record["started_unix_ns"] < record["finished_unix_ns"]
    assert set(record["facts_before"]) == set(record["facts_after"])
    where = [(entry["batch"], entry["threads"]) for entry in record["configurations"]]
    assert where == [(1, 1), (1, 2), (3, 1), (3, 2)]
    for entry in record["configurations"]:
        samples = entry["samples_ns"]
        assert len(samples) >= 20
        assert sum(samples) <= entry["window_ns"]
        assert entry["window_ns"] >= 20_000_000, "min_seconds"
        assert min(samples) > 0
        assert entry["warmup_runs"] >= 5
        assert entry["load_ns"] > 0
        assert entry["first_inference_ns"] > 0
        assert entry["cpu_ns"] > 0
        assert entry["stopped_by"] == "min_runs"
    memory = record["memory"]
    assert memory["peak_rss_bytes"] > memory["baseline_rss_bytes"] > 10 << 20
    evaluation = record["evaluation"]
    (output,) = evaluation["outputs"]
    assert (evaluation["count"], output["shape"], output["dtype"]) == (20, [20, 4], "float32")
    scores = np.frombuffer(base64.b64decode(output["base64"]), "<f4").reshape(20, 4)
    labels = np.frombuffer(contents["eval/labels.bin"], "<i8")
    assert (scores.argmax(axis=1) == labels).all()
    assert [j["state"] for j in device.ask("jobs.list")["jobs"]] == ["finished"]
    device.ask("jobs.ack", job_id=job)
    assert device.ask("jobs.list")["jobs"] == []
    assert not list((work_dir / "jobs").iterdir())
    with pytest.raises(AgentError, match="no_such_job"):
        device.ask("jobs.ack", job_id=job)


def test_max_seconds_ends_a_window_and_what_was_not_asked_for_is_unavailable(device: Agent) -> None:
    job = start(device, min_runs=1_000_000, min_seconds=60, max_seconds=0.1, **LATENCY_ONLY)
    device.ask("jobs.wait", job_id=job)
    record = device.fetch(job)
    (entry,) = record["configurations"]
    assert entry["stopped_by"] == "max_seconds"
    assert 100_000_000 <= entry["window_ns"] < 2_000_000_000
    assert record["memory"] == record["evaluation"] == {"unavailable": "not asked for"}


def test_a_batch_that_the_model_cannot_take(agent: Agent, build: Build, contents: dict[str, bytes]) -> None:
    """Built for batch 2: batch 4 is a multiple, batch 3 is none."""
    rng = np.random.default_rng(3)
    model = dense_model(rng.normal(size=(4, 8)), rng.normal(size=4), batch=2)
    golden = rng.normal(size=(3, 2, 8)).astype("<f4")
    files = {"model.tflite": model}
    for index, (x, y) in enumerate(zip(golden, run_model(model, golden), strict=True)):
        files[f"golden/{index}.in.bin"], files[f"golden/{index}.out.bin"] = x.tobytes(), y.tobytes()
    tensor = {"dtype": "float32", "layout": "NC", "scale": None, "zero_point": None}
    package = build(
        files,
        inputs=[{**tensor, "name": "x", "shape": [2, 8]}],
        outputs=[{**tensor, "name": "y", "shape": [2, 4]}],
        evaluation=None,
    )
    agent.upload(package)
    agent.install(package)
    job = start(agent, batches=[2, 3, 4], memory=False)
    agent.ask("jobs.wait", job_id=job)
    record = agent.fetch(job)
    two, three, four = record["configurations"]
    assert two["samples_ns"]
    assert four["samples_ns"]
    assert "no multiple" in three["unavailable"]
    assert record["evaluation"] == {"unavailable": "the package holds no evaluation set"}


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
    assert agent.fetch(job)["configurations"][0]["samples_ns"]
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


def test_a_runtime_that_crashes_while_measuring(agent: Agent, build: Build, tmp_path: Path) -> None:
    source = """
import ctypes
import ai_edge_litert.interpreter as real
class Interpreter(real.Interpreter):
    runs = 0
    def invoke(self):
        super().invoke()
        Interpreter.runs += 1
        if Interpreter.runs > 4:
            ctypes.string_at(0)
"""
    runtime = install_runtime(agent, runtime_wheel(tmp_path, source))["runtime_id"]
    package = build(runtime={"kind": "tflite-runtime", "min_version": "2.14"})
    agent.upload(package)
    agent.install(package, runtime)
    job = start(agent, **LATENCY_ONLY)
    answer = agent.ask("jobs.wait", job_id=job)
    assert answer["state"] == "failed"
    assert answer["error"]["code"] == "runtime_broken"
    assert "SIGSEGV" in answer["error"]["message"]
    with pytest.raises(AgentError, match=r"runtime_broken.*SIGSEGV"):
        agent.ask("jobs.fetch", job_id=job)
    assert agent.ask("jobs.ack", job_id=job)["job_id"] == job


def test_bench_needs_a_package(agent: Agent) -> None:
    with pytest.raises(AgentError, match="not_installed"):
        start(agent)
    assert agent.ask("jobs.list")["jobs"] == []
    with pytest.raises(AgentError, match="no_such_job"):
        agent.ask("jobs.wait", job_id="20260101T000000-00000000")
