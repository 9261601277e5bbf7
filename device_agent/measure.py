"""The measurements themselves, each in a process of its own: raw samples, no statistics.

Rules of the timing loop:
    * Inputs are set before; a sample is one `invoke()` between two readings of the monotonic clock, so the
      output is neither copied nor looked at inside.
    * Garbage collection is off, the array of samples exists before the first of them.
    * Stop when both the smallest number of runs and the smallest time are reached, or at the largest time.
      Source: LiteRT's benchmark_model (`min_secs`, `num_runs`, `max_secs`, warm-up likewise).
    * The first outputs are compared with the golden ones: a configuration that computes something else is
      unavailable, not fast.
Memory is a pass of its own, because looking at it costs time. It is the kernel's own high-water mark, never
polled.
"""

from __future__ import annotations

import base64
import gc
import resource
import sys
import time
from array import array
from typing import TYPE_CHECKING, Any

from .golden import max_error, read_tensors
from .runners.litert import Runner, UnsupportedError, import_runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_SAMPLES = 1_000_000
_MEMORY_RUNS = 10
_MAX_EVALUATION_BYTES = 64 << 20
_clock = time.perf_counter_ns


def latency(
    kind: str, folder: Path, manifest: dict[str, Any], batch: int, threads: int, spec: dict[str, Any]
) -> dict[str, Any]:
    """Load the model and time it in one configuration.

    Args:
        kind: "litert" or "tflite-runtime".
        folder: The package's folder.
        manifest: The package's manifest.
        batch: Samples an invoke.
        threads: Number of threads.
        spec: `warmup_min_runs`, `warmup_min_seconds`, `min_runs`, `min_seconds`, `max_seconds`.

    Returns:
        A configuration of the job's record (PROTOCOL.md); times in ns.
    """
    where = {"batch": batch, "threads": threads}
    import_runtime(kind)
    try:
        begin = _clock()
        runner = Runner(kind, folder, manifest, batch=batch, threads=threads)
        load_ns = _clock() - begin
        cases = _set_golden_inputs(runner, folder, manifest)
    except UnsupportedError as err:
        return {**where, "unavailable": str(err)}
    begin = _clock()
    try:
        runner.invoke()
    except RuntimeError as err:
        return {**where, "unavailable": f"the runtime cannot run the model with batch {batch}: {err}"[:400]}
    first_ns = _clock() - begin
    if wrong := _difference(runner, folder, manifest, cases):
        return {**where, "unavailable": wrong}
    warmup_runs, estimate_ns = _warm_up(runner.invoke, spec)
    times = _time(runner.invoke, spec, estimate_ns)
    return {**where, "load_ns": load_ns, "first_inference_ns": first_ns, "warmup_runs": warmup_runs, **times}


def memory(kind: str, folder: Path, manifest: dict[str, Any], batch: int, threads: int) -> dict[str, Any]:
    """Load the model, run it a few times, and return the peak resident memory of this process in bytes."""
    try:
        runner = Runner(kind, folder, manifest, batch=batch, threads=threads)
        _set_golden_inputs(runner, folder, manifest)
    except UnsupportedError as err:
        return {"unavailable": str(err)}
    for _ in range(_MEMORY_RUNS):
        runner.invoke()
    return {"peak_rss_bytes": peak_rss_bytes(), "batch": batch, "threads": threads}


def baseline(kind: str) -> dict[str, Any]:
    """Load the runtime and no model, and return the peak resident memory of this process in bytes."""
    import_runtime(kind)
    return {"peak_rss_bytes": peak_rss_bytes()}


def evaluation(kind: str, folder: Path, manifest: dict[str, Any], threads: int) -> dict[str, Any]:
    """Run the packed evaluation set and return the raw outputs; the host computes the metric.

    Returns:
        `evaluation` of the job's record: `count` and `outputs`, each with its bytes as base64.
    """
    import numpy as np

    plan = manifest["evaluation"]
    if plan is None:
        return {"unavailable": "the package holds no evaluation set"}
    runner = Runner(kind, folder, manifest, threads=threads)
    count, specs = plan["count"], manifest["outputs"]
    size = sum(int(np.prod(spec["shape"])) * np.dtype(spec["dtype"]).itemsize for spec in specs) * count
    if size > _MAX_EVALUATION_BYTES:
        reason = f"the outputs of {count} samples have {size} bytes; {_MAX_EVALUATION_BYTES} are allowed"
        return {"unavailable": reason}
    inputs = read_tensors(folder, plan["inputs"], [_stacked(spec, count) for spec in manifest["inputs"]])
    outputs = [np.empty([count, *spec["shape"]], spec["dtype"]) for spec in specs]
    for index in range(count):
        runner.set_inputs([array[index] for array in inputs])
        runner.invoke()
        for target, value in zip(outputs, runner.outputs()):
            target[index] = value
    return {"count": count, "outputs": [_encode(spec, value) for spec, value in zip(specs, outputs)]}


def peak_rss_bytes() -> int:
    """Return the most memory that this process has had resident so far, in bytes.

    `VmHWM` where there is one: `ru_maxrss` starts at the size of the process that started this one.
    Source: proc(5); getrusage(2); Linux `begin_new_exec` keeps the old maximum.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _set_golden_inputs(runner: Runner, folder: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Fill the (resized) inputs with golden cases, one after the other; return the case of each row."""
    import numpy as np

    built = manifest["inputs"][0]["shape"][0] if manifest["inputs"][0]["shape"] else 1
    if runner.batch % built:
        message = f"the model is built for batch {built}; batch {runner.batch} is no multiple of it"
        raise UnsupportedError(message)
    golden = manifest["golden"]
    cases = [golden[row % len(golden)] for row in range(runner.batch // built)]
    columns = zip(*(read_tensors(folder, case["inputs"], manifest["inputs"]) for case in cases))
    runner.set_inputs([np.concatenate(column) if len(cases) > 1 else column[0] for column in columns])
    return cases


def _difference(
    runner: Runner, folder: Path, manifest: dict[str, Any], cases: list[dict[str, Any]]
) -> str | None:
    """Return how the first outputs differ from the golden ones; None where they do not."""
    import numpy as np

    columns = zip(*(read_tensors(folder, case["outputs"], manifest["outputs"]) for case in cases))
    tolerance = manifest["golden_tolerance"]["max_error"]
    for spec, actual, column in zip(manifest["outputs"], runner.outputs(), columns):
        error = max_error(actual, np.concatenate(column) if len(cases) > 1 else column[0])
        if not error <= tolerance:
            return (
                f"the output {spec['name']!r} is off the golden output by {error:g}; {tolerance:g} is allowed"
            )
    return None


def _warm_up(invoke: Callable[[], None], spec: dict[str, Any]) -> tuple[int, int]:
    """Run until both limits are reached; return the number of runs and the fastest in ns."""
    runs, fastest = 0, sys.maxsize
    start = now = _clock()
    while runs < spec["warmup_min_runs"] or now - start < spec["warmup_min_seconds"] * 1e9:
        begin = _clock()
        invoke()
        now = _clock()
        fastest = min(fastest, now - begin)
        runs += 1
        if now - start > spec["max_seconds"] * 1e9:
            break
    return runs, fastest


def _time(invoke: Callable[[], None], spec: dict[str, Any], estimate_ns: int) -> dict[str, Any]:
    """Take the samples."""
    min_runs, min_ns, max_ns = (
        spec["min_runs"],
        int(spec["min_seconds"] * 1e9),
        int(spec["max_seconds"] * 1e9),
    )
    capacity = min(MAX_SAMPLES, max(min_runs, min_ns // max(estimate_ns, 1) + 1))
    samples = array("q", bytes(8 * capacity))
    overhead_ns = _timer_overhead_ns()
    clock, count = _clock, 0
    gc.collect()
    gc.disable()
    cpu_start = time.process_time_ns()
    start = clock()
    while True:
        begin = clock()
        invoke()
        end = clock()
        samples[count] = end - begin
        count += 1
        elapsed = end - start
        if (count >= min_runs and elapsed >= min_ns) or elapsed >= max_ns or count >= MAX_SAMPLES:
            break
        if count == capacity:  # faster than the warm-up promised; between two samples, so none is touched
            capacity = min(MAX_SAMPLES, 2 * capacity)
            samples.frombytes(bytes(8 * (capacity - count)))
    cpu_ns = time.process_time_ns() - cpu_start
    gc.enable()
    complete = count >= min_runs and elapsed >= min_ns
    return {
        "samples_ns": samples[:count].tolist(),
        "window_ns": elapsed,
        "cpu_ns": cpu_ns,
        "timer_overhead_ns": overhead_ns,
        "stopped_by": "min_runs" if complete else "max_seconds" if elapsed >= max_ns else "max_samples",
    }


def _timer_overhead_ns() -> int:
    """Return the median of what the clock itself adds to a sample: worth knowing below some 10 us."""
    clock = _clock
    gaps = sorted(-(clock() - clock()) for _ in range(1001))
    return gaps[500]


def _stacked(spec: dict[str, Any], count: int) -> dict[str, Any]:
    return {**spec, "shape": [count, *spec["shape"]]}


def _encode(spec: dict[str, Any], values: Any) -> dict[str, Any]:
    shape = list(values.shape)
    if len(shape) > 1 and shape[1] == 1:  # a batch of 1: the sample's axis takes its place
        del shape[1]
    data = base64.b64encode(values.tobytes()).decode("ascii")
    return {"name": spec["name"], "dtype": spec["dtype"], "shape": shape, "base64": data}
