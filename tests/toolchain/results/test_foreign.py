"""Other tools' results, in the formats that these tools publish."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.foreign import ForeignRun, parse_foreign

MODELS = Path(__file__).resolve().parents[4] / "shared" / "models"
TOOL = "ai_edge_litert.tools.benchmark_litert_model"

PRINTED = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [4]
INFO: Graph: [/usr/share/models/ssd_mobilenet_v2_coco.tflite]
INFO: #threads used for CPU inference: [4]
INFO: The input model file size (MB): 67.3128
INFO: Initialized session in 5.579ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but \
terminate if exceeding 150 seconds.
INFO: count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but \
terminate if exceeding 150 seconds.
INFO: count=50 first=1249964 curr=1240143 min=1238588 max=1252566 avg=1.24027e+06 std=2565 p5=1238753 \
median=1239807 p95=1247415

INFO: Inference timings in us: Init: 5579, First inference: 1357602, Warmup (avg): 1.3576e+06, \
Inference (avg): 1.24027e+06
INFO: Memory footprint delta from the start of the tool (MB): init=6.36328 overall=109.832
"""
OLD_PRINTED = """\
Num threads: [1]
count=7837 first=114 curr=32 min=28 max=114 avg=31.462 std=1

count=15523 first=51 curr=32 min=28 max=51 avg=31.4759 std=0

Inference timings in us: Init: 1461, First inference: 114, Warmup (avg): 31.462, Inference (avg): 31.4759
"""
JSON = {
    "model": "C:\\models\\ic.tflite",
    "model_size_mb": 0.1,
    "accelerators": ["CPU"],
    "signature": "serving_default",
    "fully_accelerated": True,
    "num_threads": 2,
    "latency": {
        "init_ms": 1.5, "warmup_first_ms": 0.9, "warmup_avg_ms": 0.3, "num_warmup_runs": 5, "avg_ms": 0.26,
        "min_ms": 0.24, "max_ms": 0.81, "median_ms": 0.25, "std_ms": 0.02, "p5_ms": 0.24, "p95_ms": 0.29,
        "num_runs": 50,
    },
    "throughput_mb_s": 47.1,
}  # fmt: skip


def parsed(data: bytes | str) -> ForeignRun:
    found = parse_foreign(data.encode() if isinstance(data, str) else data, source="dir/result.txt")
    assert found is not None
    return found


def values(run: ForeignRun) -> dict[str, float]:
    return {f"{metric.name} {metric.aggregation}": metric.value for metric in run.metrics}


def test_what_benchmark_model_prints() -> None:
    run = parsed(PRINTED)
    assert (run.tool, run.model, run.threads) == ("benchmark_model", "ssd_mobilenet_v2_coco.tflite", 4)
    assert run.run_id == "result.txt"
    assert values(run) == pytest.approx(
        {
            "load_time single": 5_579_000,
            "first_inference single": 1_357_602_000,
            "latency min": 1_238_588_000,
            "latency mean": 1_240_270_000,
            "latency p50": 1_239_807_000,
            "latency p95": 1_247_415_000,
            "latency max": 1_252_566_000,
        }
    )
    assert {metric.samples for metric in run.metrics if metric.name == "latency"} == {50}


def test_what_it_printed_before_it_knew_percentiles() -> None:
    run = parsed(OLD_PRINTED)
    found = values(run)
    assert found["latency mean"] == pytest.approx(31_475.9)
    assert found["latency min"] == 28_000
    assert "latency p50" not in found
    assert run.model is None and run.threads == 1


def test_what_litert_benchmark_writes() -> None:
    run = parsed(json.dumps(JSON, indent=2))
    assert (run.tool, run.model, run.threads) == ("litert-benchmark", "ic.tflite", 2)
    assert values(run) == pytest.approx(
        {
            "load_time single": 1_500_000,
            "first_inference single": 900_000,
            "latency min": 240_000,
            "latency mean": 260_000,
            "latency p50": 250_000,
            "latency p95": 290_000,
            "latency max": 810_000,
        }
    )


def test_a_first_inference_that_was_not_taken_is_no_zero() -> None:
    value = {**JSON, "latency": {**JSON["latency"], "num_warmup_runs": 0, "warmup_first_ms": 0}}  # type: ignore[dict-item]
    assert "first_inference single" not in values(parsed(json.dumps(value)))


def protobuf_result(**latency: float) -> bytes:
    """A result as the tool serializes it: by protobuf itself, from the published fields."""
    descriptors = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    optional, message = 1, 11
    names = ("avg_ms", "min_ms", "max_ms", "stddev_ms", "median_ms", "p5_ms", "p95_ms", "init_ms",
             "first_inference_ms", "average_warm_up_ms")  # fmt: skip
    file = descriptors.FileDescriptorProto(name="benchmark_result.proto", package="t", syntax="proto2")
    parts = {
        "LatencyMetrics": [(name, 2) for name in names],
        "MemoryMetrics": [("init_footprint_kb", 3), ("overall_footprint_kb", 3), ("peak_mem_mb", 2)],
        "MiscMetrics": [("model_size_mb", 2), ("num_runs", 5), ("num_warmup_runs", 5)],
    }
    for name, fields in parts.items():
        part = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, start=1):
            part.field.add(name=field, number=number, type=kind, label=optional)
    whole = file.message_type.add(name="BenchmarkResult")
    whole.field.add(name="name", number=1, type=9, label=optional)
    for number, (field, kind_name) in enumerate(
        zip(("latency", "memory", "misc"), parts, strict=True), start=2
    ):
        whole.field.add(name=field, number=number, type=message, type_name=f".t.{kind_name}", label=optional)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.BenchmarkResult"))()
    made.name = "ssd"
    for field, value in latency.items():
        setattr(made.latency, field, value)
    made.memory.init_footprint_kb = 6516
    made.misc.num_runs = 50
    return bytes(made.SerializeToString())


def test_what_the_tool_serializes() -> None:
    data = protobuf_result(avg_ms=12.5, median_ms=12.25, min_ms=12.0, p95_ms=13.0, init_ms=5.5, p5_ms=12.125)
    run = parsed(data)
    assert run.tool == "benchmark_model"
    assert values(run) == {
        "load_time single": 5_500_000,
        "latency min": 12_000_000,
        "latency mean": 12_500_000,
        "latency p50": 12_250_000,
        "latency p95": 13_000_000,
    }
    assert {metric.samples for metric in run.metrics if metric.name == "latency"} == {50}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec(TOOL) is None, reason="litert-benchmark is not installed")
@pytest.mark.skipif(not MODELS.is_dir(), reason="the MLPerf Tiny models are not there")
def test_a_real_result_of_litert_benchmark(tmp_path: Path) -> None:
    model, result = MODELS / "pretrainedResnet_quant.tflite", tmp_path / "result.json"
    command = [
        sys.executable,
        "-m",
        TOOL,
        "--model",
        str(model),
        "--num_runs",
        "20",
        "--result_json",
        str(result),
    ]
    subprocess.run(command, check=True, capture_output=True)
    run = parsed(result.read_bytes())
    assert run.model == model.name
    assert 0 < values(run)["latency min"] <= values(run)["latency p50"] <= values(run)["latency max"]


@pytest.mark.parametrize("bad", ["nan", -1.0, 1e12, True, "fast"])
def test_impossible_figures_are_refused(bad: object) -> None:
    number = float("nan") if bad == "nan" else bad
    value = {**JSON, "latency": {**JSON["latency"], "median_ms": number}}  # type: ignore[dict-item]
    with pytest.raises(MeasurementError, match="median_ms"):
        parsed(json.dumps(value))


def test_what_is_no_result_is_left_to_others() -> None:
    for text in ("", "{}", "[]", '{"latency": 3}', "hello", '{"run_id": "x"}', "\x00\xff"):
        assert parse_foreign(text.encode("utf-8", "surrogatepass"), source="x") is None


def test_a_name_cannot_reach_the_terminal_as_a_command() -> None:
    run = parsed(PRINTED.replace("ssd_mobilenet_v2_coco", "a\x1b[2Jb"))
    assert run.model == "a\ufffd[2Jb.tflite"


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(MeasurementError):
        parse_foreign(data, source="x")
