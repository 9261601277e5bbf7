"""Job records as an agent writes them, and the run records made of them, for tests."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from edgepack.converters.quantize.metrics import Score
from edgepack.toolchain.packaging.manifest import (
    Evaluation,
    FileEntry,
    GoldenCase,
    GoldenTolerance,
    Manifest,
    Quality,
    RuntimeRequirement,
    TensorSpec,
)
from edgepack.toolchain.results.from_job import RunContext, record_from_job
from edgepack.toolchain.results.job_record import parse_job_record
from edgepack.toolchain.results.schema import RunRecord

CLASSES = 4
SAMPLES = 40
LABELS = np.arange(SAMPLES) % CLASSES
TIME = datetime(2026, 11, 22, 8, 15, tzinfo=timezone.utc)


def make_manifest(precision: str = "int8", *, evaluation: bool = True, model_bytes: int = 50_000) -> Manifest:
    """A manifest whose output is int8 class scores with scale 0.5 and zero point -1."""

    def entry(path: str, size_bytes: int) -> FileEntry:
        return FileEntry(
            path=path, size_bytes=size_bytes, sha256=hashlib.sha256(f"{path}{precision}".encode()).hexdigest()
        )

    files = [entry("model.tflite", model_bytes), entry("g/i.bin", 8), entry("g/o.bin", 4)]
    return Manifest(
        name="fashion",
        target="rpi",
        precision=precision,
        model="model.tflite",
        inputs=[TensorSpec(name="x", shape=[1, 8], dtype="int8", scale=1.0, zero_point=0)],
        outputs=[TensorSpec(name="y", shape=[1, CLASSES], dtype="int8", scale=0.5, zero_point=-1)],
        runtime=RuntimeRequirement(kind="litert", min_version="2.0"),
        files=[*files, entry("e/x.bin", 320), entry("e/l.bin", 320)] if evaluation else files,
        labels=None,
        preprocessing=None,
        golden=[GoldenCase(inputs=["g/i.bin"], outputs=["g/o.bin"])],
        golden_tolerance=GoldenTolerance(
            max_error=1.0, unit="quantized_steps", min_top1_agreement=1.0, reason="measured"
        ),
        evaluation=Evaluation(inputs=["e/x.bin"], labels="e/l.bin", count=SAMPLES, metric="top1")
        if evaluation
        else None,
        quality=Quality(
            metric="top1",
            float_value=0.92,
            deployed_value=0.9,
            count=SAMPLES,
            output_sqnr_db=30.0,
            top1_agreement=0.98,
        )
        if evaluation
        else None,
        provenance={},
    )


def facts(**changes: Any) -> dict[str, Any]:
    """What `probe` says about a Raspberry Pi."""
    return {
        "hostname": "pi4",
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "kernel": "6.1.0",
        "machine": "aarch64",
        "python": {"version": "3.11.2", "executable": "/usr/bin/python3", "abi": "cp311", "bits": 64},
        "libc": {"kind": "glibc", "version": "2.36"},
        "cpu": {"count": 4, "available": 4, "model": "Cortex-A72", "features": ["asimd", "crc32"]},
        "memory": {"total_bytes": 3_981_000_000, "available_bytes": 3_500_000_000},
        "disk": {"free_bytes": 20_000_000_000},
        "page_bytes": 4096,
        "clock": {"unix_ns": 1_790_000_000_000_000_000},
        "boot_id": "b",
        "uid": 1000,
        "governor": "ondemand",
        "clocks_hz": [600_000_000, 1_800_000_000],
        "temperatures_c": [{"name": "cpu-thermal", "value": 48.2}],
        "power_sensors": [],
        "ssh_keygen": "/usr/bin/ssh-keygen",
        "system_runtime": None,
        **changes,
    }


def latencies(batch: int, threads: int, *, scale: float = 1.0, count: int = 200, seed: int = 0) -> list[int]:
    """Latencies with a tail, as a real device has."""
    generator = np.random.default_rng([batch, threads, seed])
    base = 1.2e6 * scale * batch**0.9 / threads**0.6
    return [int(x) for x in base * (1 + generator.gamma(1.5, 0.02, count))]


def make_window(
    samples: list[int], *, inputs: int = 0, threads: int = 1, start_ns: int = 0, **changes: Any
) -> dict[str, Any]:
    """A window as the agent reports it, with the device's state before and after, and no power."""

    def state(clock_ns: int, celsius: float) -> dict[str, Any]:
        return {
            "clock_ns": clock_ns,
            "governors": ["ondemand"] * 4,
            "clocks_hz": [1_500_000_000] * 4,
            "max_clocks_hz": [1_500_000_000] * 4,
            "temperatures_c": [{"name": "cpu-thermal", "value": celsius}],
            "throttling": {"bits": 0, "now": [], "since_boot": []},
            "load_1min": 0.2,
            "available_bytes": 3_500_000_000,
        }

    window_ns = sum(samples) + 1000
    return {
        "inputs": inputs,
        "attempt": 1,
        "rejected": None,
        "start_clock_ns": start_ns,
        "window_ns": window_ns,
        "runs": len(samples),
        "sample_stride": 1,
        "samples_ns": samples,
        "cpu_ns": sum(samples) * threads,
        "others_cpu_ns": window_ns // 100,
        "preemptions": 1,
        "stopped_by": "min_runs",
        "states": [state(start_ns, 48.0 + inputs), state(start_ns + window_ns, 48.5 + inputs)],
        "power": {"unavailable": "no power sensor"},
        **changes,
    }


def make_power(joules: float, duration_ns: int, *, start_ns: int = 0, **changes: Any) -> dict[str, Any]:
    """A power reading of a constant load."""
    watts = joules / (duration_ns / 1e9)
    clocks = [start_ns + duration_ns * i // 10 for i in range(11)]
    return {
        "sensor": "hwmon:ina226",
        "driver": "hwmon",
        "covers": "the whole supply of the board",
        "joules": joules,
        "uncertainty_j": joules * 0.004,
        "average_w": watts,
        "peak_w": watts * 1.1,
        "duration_ns": duration_ns,
        "samples": 100,
        "dropped": 0,
        "coverage": 0.99,
        "resolution_w": 0.00125,
        "interval_ns": duration_ns // 100,
        "trace": {"clock_ns": clocks, "watts": [watts] * 11},
        **changes,
    }


def make_configuration(
    batch: int,
    threads: int,
    *,
    scale: float = 1.0,
    windows: int = 5,
    watts: float | None = None,
    idle_watts: float = 2.0,
) -> dict[str, Any]:
    """A configuration with windows one after the other; with `watts`, each has a power reading."""
    made, start = [], 10_000_000_000
    for index in range(windows):
        samples = latencies(batch, threads, scale=scale, seed=index)
        window = make_window(samples, inputs=index, threads=threads, start_ns=start)
        if watts is not None:
            joules = watts * window["window_ns"] / 1e9
            window["power"] = make_power(joules, window["window_ns"], start_ns=start)
        made.append(window)
        start += window["window_ns"] + 5_000_000
    idle = None
    if watts is not None:
        length = made[0]["window_ns"]
        power = make_power(idle_watts * length / 1e9, length)
        idle = {"before": power, "after": power}
    return {
        "batch": batch,
        "threads": threads,
        "delegate": "xnnpack",
        "load_ns": 2_000_000,
        "first_inference_ns": 3_000_000,
        "warmup_runs": 12,
        "warmup_ns": 20_000_000,
        "settled": True,
        "timer_overhead_ns": 70,
        "windows": made,
        "idle": idle,
    }


def make_job(manifest: Manifest, **changes: Any) -> dict[str, Any]:
    """The record of a job as JSON values; outputs put all samples but the first on their label."""
    scale = {"float32": 2.2, "float16": 2.1, "int16x8": 3.0}.get(manifest.precision, 1.0)
    scores = np.full((SAMPLES, CLASSES), -128, np.int8)
    scores[np.arange(SAMPLES), LABELS] = 127
    scores[0] = np.roll(scores[0], 1)
    output = {
        "name": "y",
        "dtype": "int8",
        "shape": list(scores.shape),
        "base64": base64.b64encode(scores.tobytes()).decode(),
    }
    configurations = [
        make_configuration(batch, threads, scale=scale) for batch in (1, 2, 4) for threads in (1, 2, 4)
    ]
    unavailable = {"batch": 8, "threads": 1, "unavailable": "RESHAPE has a constant shape"}
    return {
        "record": 2,
        "job_id": "20261122T081500-1a2b3c4d",
        "package_id": manifest.package_id,
        "name": manifest.name,
        "spec": {
            "batches": [1, 2, 4, 8],
            "threads": [1, 2, 4],
            "warmup_min_runs": 1,
            "warmup_min_seconds": 0.5,
            "windows": 5,
            "min_runs": 10,
            "min_seconds": 0.1,
            "quick": True,
            "max_seconds": 150.0,
            "memory": True,
            "evaluation": True,
        },
        "agent": "0123456789abcdef",
        "boot_id": "b",
        "started_unix_ns": 1_790_000_000_000_000_000,
        "finished_unix_ns": 1_790_000_060_000_000_000,
        "runtime": {
            "kind": "litert",
            "version": "2.3.0",
            "numpy": "2.2.6",
            "python": "3.11.2",
            "source": "provisioned",
        },
        "facts_before": facts(),
        "facts_after": facts(temperatures_c=[{"name": "cpu-thermal", "value": 55.0}]),
        "control": {"pinned": None, "governor": None, "refused": None},
        "power_sensor": {"unavailable": "no power sensor"},
        "configurations": [*configurations, unavailable],
        "memory": {"peak_rss_bytes": 43_000_000, "baseline_rss_bytes": 39_000_000},
        "evaluation": {"count": SAMPLES, "outputs": [output]},
        "profile": {"unavailable": "not asked for"},
        "roofline": {"unavailable": "not asked for"},
        **changes,
    }


def top1(outputs: tuple[Any, ...]) -> Score:
    """The share of samples whose arg max is the label."""
    value = float((outputs[0].argmax(axis=1) == LABELS).mean())
    return Score("top1", value, value - 0.05, value + 0.02, SAMPLES)


def make_record(
    precision: str = "int8",
    device: str = "pi4",
    *,
    minutes: int = 0,
    tag: str | None = None,
    emulated: bool = False,
    manifest: Manifest | None = None,
    labels: dict[str, str] | None = None,
    **changes: Any,
) -> RunRecord:
    """A run record by the real conversion; `changes` are those of the job's record."""
    manifest = manifest or make_manifest(precision)
    context = RunContext(
        device_name=device,
        device_kind="ssh",
        emulated=emulated,
        time=TIME + timedelta(minutes=minutes),
        tool_version="0.1.0",
        package_sha256="a" * 64,
        tag=tag,
        labels=labels or {},
    )
    job = parse_job_record(json.dumps(make_job(manifest, **changes)).encode())
    return record_from_job(job, manifest, context, quality=top1)
