"""The record of a benchmark, by the real agent: what was asked for, measured, in the host's own words."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgepack.toolchain.results.job_record import (
    ConfigurationSamples,
    ConfigurationUnavailable,
    EvaluationOutputs,
    JobRecord,
    MemoryUse,
    Unavailable,
    parse_job_record,
)
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

QUICK = {
    "windows": 2, "min_runs": 20, "min_seconds": 0.05, "max_seconds": 5, "warmup_min_seconds": 0.0,
    "warmup_max_seconds": 0.1,
}  # fmt: skip
LATENCY_ONLY = {"windows": 1, "memory": False, "evaluation": False}


def start(agent: Agent, **spec: Any) -> str:
    return agent.ask("bench.start", name="dense", owner=OWNER, spec={**QUICK, **spec})["job_id"]


def measured(agent: Agent, **spec: Any) -> tuple[JobRecord, dict[str, Any]]:
    """The record as the host reads it, and as it was sent."""
    job = start(agent, **spec)
    assert agent.ask("jobs.wait", job_id=job)["state"] == "finished"
    raw = agent.fetch(job)
    agent.ask("jobs.ack", job_id=job)
    return parse_job_record(json.dumps(raw).encode()), raw


def test_a_record_holds_what_was_asked_for(
    device: Agent, package: BuiltPackage, contents: dict[str, bytes], work_dir: Path
) -> None:
    job = start(device, batches=[1, 3], threads=[1, 2], warmup_min_runs=5)
    assert device.ask("jobs.wait", job_id=job) == {"id": device._id, "type": "result", "state": "finished"}
    steps = [
        (step["stage"], step["done"], step["total"]) for step in device.progress if step["id"] == device._id
    ]
    assert steps[-1] == ("evaluation", 5, 6)
    record = parse_job_record(json.dumps(device.fetch(job)).encode())
    assert (record.record, record.job_id, record.package_id) == (2, job, package.package_id)
    assert (record.name, record.agent) == ("dense", device.hello["agent"])
    assert (record.runtime.source, record.runtime.kind) == ("system", "litert")
    assert record.started_unix_ns < record.finished_unix_ns
    where = [(entry.batch, entry.threads, entry.delegate) for entry in record.configurations]
    assert where == [(1, 1, "xnnpack"), (1, 2, "xnnpack"), (3, 1, "xnnpack"), (3, 2, "xnnpack")]
    for entry in record.configurations:
        assert isinstance(entry, ConfigurationSamples)
        assert len(entry.windows) == len(entry.accepted) == 2
        assert entry.warmup_runs >= 5
        assert entry.load_ns > 0
        assert entry.first_inference_ns > 0
        for window in entry.windows:
            assert window.runs >= 20
            assert sum(window.samples_ns) <= window.window_ns
            assert window.window_ns >= 50_000_000, "min_seconds"
            assert min(window.samples_ns) > 0
            assert window.cpu_ns
            assert window.stopped_by == "min_runs"
            assert len(window.states) >= 2
    assert isinstance(record.memory, MemoryUse)
    assert record.memory.peak_rss_bytes > record.memory.baseline_rss_bytes > 10 << 20
    assert isinstance(record.evaluation, EvaluationOutputs)
    (output,) = record.evaluation.outputs
    assert (record.evaluation.count, output.shape, output.dtype) == (20, [20, 4], "float32")
    scores = np.frombuffer(base64.b64decode(output.base64), "<f4").reshape(20, 4)
    labels = np.frombuffer(contents["eval/labels.bin"], "<i8")
    assert (scores.argmax(axis=1) == labels).all()
    assert [j["state"] for j in device.ask("jobs.list")["jobs"]] == ["finished"]
    device.ask("jobs.ack", job_id=job)
    assert device.ask("jobs.list")["jobs"] == []
    assert not list((work_dir / "jobs").iterdir())
    with pytest.raises(AgentError, match="no_such_job"):
        device.ask("jobs.ack", job_id=job)


def test_max_seconds_ends_a_window_and_what_was_not_asked_for_is_unavailable(device: Agent) -> None:
    record, _ = measured(device, min_runs=1_000_000, min_seconds=60, max_seconds=0.1, **LATENCY_ONLY)
    (entry,) = record.configurations
    assert isinstance(entry, ConfigurationSamples)
    assert entry.windows[0].stopped_by == "max_seconds"
    assert 100_000_000 <= entry.windows[0].window_ns < 2_000_000_000
    for part in (record.memory, record.evaluation, record.profile, record.roofline):
        assert part == Unavailable(unavailable="not asked for")


def test_delegates_are_configurations(device: Agent) -> None:
    record, _ = measured(device, delegates=["xnnpack", "none"], quick=True, **LATENCY_ONLY)
    assert [entry.delegate for entry in record.configurations] == ["xnnpack", "none"]
    assert all(isinstance(entry, ConfigurationSamples) for entry in record.configurations)
    assert record.spec.quick is True
    assert [step["stage"] for step in device.progress][-1] == "batch 1, 1 thread, without delegate"


def test_what_could_not_be_set_is_told_and_the_rest_is_measured(device: Agent) -> None:
    record, _ = measured(device, pin=[4095], governor="nosuchgovernor", **LATENCY_ONLY)
    assert record.control
    assert (record.control.pinned, record.control.governor) == (None, None)
    pinning, governor = str(record.control.refused).split("; ")
    assert pinning.startswith("CPUs cannot be pinned: 4095 asked for, this process may use 0")
    assert governor.startswith("the governor cannot be set: ")
    assert isinstance(record.configurations[0], ConfigurationSamples)


def test_a_model_is_pinned(device: Agent) -> None:
    record, _ = measured(device, pin=[0], **LATENCY_ONLY)
    assert record.control
    assert (record.control.pinned, record.control.refused) == ([0], None)


def test_a_sensor_that_was_named_and_is_absent_fails_before_anything_is_measured(device: Agent) -> None:
    job = start(device, power="hwmon:ina226-of-mars", min_seconds=60, **LATENCY_ONLY)
    begin = time.monotonic()
    answer = device.ask("jobs.wait", job_id=job)
    assert time.monotonic() - begin < 50
    assert answer["state"] == "failed"
    assert answer["error"]["code"] == "no_power_sensor"


def test_settings_of_a_sensor_are_not_on_the_record(device: Agent) -> None:
    _, raw = measured(device, power="none", power_settings={"password": "secret"}, **LATENCY_ONLY)
    assert "secret" not in json.dumps(raw)
    assert raw["power_sensor"] == {"unavailable": "not asked for"}


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
    record, _ = measured(agent, batches=[2, 3, 4], memory=False)
    two, three, four = record.configurations
    assert isinstance(two, ConfigurationSamples)
    assert isinstance(four, ConfigurationSamples)
    assert isinstance(three, ConfigurationUnavailable)
    assert "no multiple" in three.unavailable
    assert record.evaluation == Unavailable(unavailable="the package holds no evaluation set")


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
