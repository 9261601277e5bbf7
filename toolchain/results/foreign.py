"""Results of other tools: a file of `benchmark_model` or `litert-benchmark` in, named figures out.

Rules:
    * They hold summary figures and no samples: they can be set beside a run, but nothing can be tested.
    * What a file does not say (batch, device, version) is not guessed.
    * A file is hostile until checked: its size is bounded by the reader, every number is checked here.

Read are: what TFLite's `benchmark_model` prints, the protobuf of its `--result_file_path`, and the JSON of
`litert-benchmark --result_json`.

Sources: google-ai-edge/LiteRT, tflite/tools/benchmark/benchmark_model.cc (text) and
    tflite/tools/benchmark/proto/benchmark_result.proto (field numbers); ai-edge-litert 2.3.0,
    ai_edge_litert/tools/benchmark_litert_model.py (JSON).
"""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NoReturn

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_MS = 1e9
_MAX_COUNT = 1 << 31
_FIGURES = {
    "init_ms": ("load_time", "single"),
    "first_inference_ms": ("first_inference", "single"),
    "min_ms": ("latency", "min"),
    "avg_ms": ("latency", "mean"),
    "median_ms": ("latency", "p50"),
    "p95_ms": ("latency", "p95"),
    "max_ms": ("latency", "max"),
}
"""Names of `benchmark_result.proto` to edgepack's metric and aggregation."""

_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_COUNTS = re.compile(r"\bcount=([0-9]{1,12})\b([^\n]{0,400})")
_PAIR = re.compile(rf"\b(first|curr|min|max|avg|std|p5|median|p95)={_NUMBER}")
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
_THREADS = re.compile(r"(?:Num threads|#threads used for CPU inference): \[([0-9]{1,4})\]")
_GRAPH = re.compile(r"Graph: \[([^\]\n]{1,1024})\]")


@dataclass(frozen=True)
class ForeignRun:
    """What another tool measured.

    Attributes:
        tool: "benchmark_model" or "litert-benchmark".
        source: The file that it came from.
        model: File name of the model; None where the file does not say.
        threads: Number of threads; None where the file does not say.
        metrics: Its figures in edgepack's names and units; they belong to no configuration.
    """

    tool: str
    source: str
    model: str | None
    threads: int | None
    metrics: tuple[Metric, ...]

    @property
    def run_id(self) -> str:
        """What names it: the file."""
        return PurePath(self.source).name


def parse_foreign(data: bytes, *, source: str) -> ForeignRun | None:
    """Return another tool's result; None where the data is none.

    Args:
        data: The file's bytes, decompressed.
        source: Its name, for messages.

    Raises:
        MeasurementError: It is such a file, but its figures are not possible.
    """
    text = data.decode("utf-8", "replace")
    if text.lstrip()[:1] == "{":
        return _from_json(text, source)
    if _TIMINGS.search(text):
        return _from_text(text, source)
    return _from_protobuf(data, source)


def _from_json(text: str, source: str) -> ForeignRun | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    latency = value.get("latency")
    if not (isinstance(latency, dict) and "median_ms" in latency):
        return None
    found = {**latency, "first_inference_ms": latency.get("warmup_first_ms")}
    if not latency.get("num_warmup_runs"):
        found["first_inference_ms"] = None  # the tool writes 0 where it did not warm up
    threads = value.get("num_threads")
    return ForeignRun(
        tool="litert-benchmark",
        source=source,
        model=_name(value.get("model")),
        threads=threads if isinstance(threads, int) and 0 < threads < 4096 else None,
        metrics=_metrics(found, latency.get("num_runs"), source),
    )


def _from_text(text: str, source: str) -> ForeignRun:
    """Read what the tool prints, in microseconds; the last `count=` line is that of the measurement."""
    timings = list(_TIMINGS.finditer(text))[-1]
    found: dict[str, Any] = {
        "init_ms": float(timings[1]) / 1e3,
        "first_inference_ms": float(timings[2]) / 1e3,
        "avg_ms": float(timings[4]) / 1e3,
    }
    runs = None
    if counts := list(_COUNTS.finditer(text, 0, timings.start())):
        runs = int(counts[-1][1])
        pairs = {name: float(number) / 1e3 for name, number in _PAIR.findall(counts[-1][2])}
        found |= {f"{name}_ms": pairs.get(name) for name in ("min", "max", "median", "p95")}
    threads, graph = _THREADS.search(text), _GRAPH.search(text)
    return ForeignRun(
        tool="benchmark_model",
        source=source,
        model=_name(graph[1]) if graph else None,
        threads=int(threads[1]) or None if threads else None,
        metrics=_metrics(found, runs, source),
    )


_LATENCY_FIELDS = {
    1: "avg_ms", 2: "min_ms", 3: "max_ms", 5: "median_ms", 7: "p95_ms", 8: "init_ms", 9: "first_inference_ms",
}  # fmt: skip


def _from_protobuf(data: bytes, source: str) -> ForeignRun | None:
    """Read a serialized `tflite.tools.benchmark.BenchmarkResult`; None where the bytes are none."""
    try:
        result = dict(_fields(data))
        latency = dict(_fields(result[2]))
        misc = dict(_fields(result.get(4, b"")))
        found = {
            name: struct.unpack("<f", latency[number])[0]
            for number, name in _LATENCY_FIELDS.items()
            if number in latency
        }
        runs = misc.get(2)
    except (KeyError, ValueError, TypeError, struct.error):
        return None
    if "avg_ms" not in found:
        return None
    return ForeignRun("benchmark_model", source, None, None, _metrics(found, runs, source))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Walk a protobuf message: field number and value (int for a varint, else the bytes).

    Source: protobuf.dev, "Encoding": wire types 0 (varint), 1 (64 bit), 2 (length), 5 (32 bit).

    Raises:
        ValueError: It is no message.
    """
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        wire = key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        else:
            length = {1: 8, 5: 4}.get(wire, -1)
        if length < 0 or position + length > len(data):
            message = "not a message"
            raise ValueError(message)
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    message = "not a number"
    raise ValueError(message)


def _metrics(found: Mapping[str, Any], runs: object, source: str) -> tuple[Metric, ...]:
    count = runs if isinstance(runs, int) and 0 < runs < _MAX_COUNT else None
    metrics = []
    for key, (name, aggregation) in _FIGURES.items():
        value = found.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            _refuse(f"{source}: {key} is {value!r}, not a number of milliseconds")
        if not 0 <= value <= _MAX_MS:
            _refuse(f"{source}: {key} is {value}, expected 0 to {_MAX_MS:.0f}")
        samples = count if name == "latency" else None
        metrics.append(
            Metric(name=name, value=value * 1e6, unit="ns", aggregation=aggregation, samples=samples)
        )
    if not any(metric.name == "latency" for metric in metrics):
        _refuse(f"{source} holds no latency")
    return tuple(metrics)


def _name(path: object) -> str | None:
    """Return the file name of a path that a file names, printable; None where it is none."""
    if not isinstance(path, str):
        return None
    name = PurePath(path.replace("\\", "/")).name[:256]
    return "".join(character if character.isprintable() else "\ufffd" for character in name) or None


def _refuse(what: str) -> NoReturn:
    message = f"{what}."
    raise MeasurementError(message, remedy="Run the tool again, and name the file that it writes.")
