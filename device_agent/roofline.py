"""The roof over every model on this device: how fast it can multiply, and how fast it can read memory.

Measured in a process that has the runtime, one for each number of threads.

Rules:
    * The peak rate is the highest that something real reached: the runtime's own best kernel on matrices that
      fit the caches, and NumPy's matrix product. Which one it was is named.
    * The bandwidth counts bytes read, nothing is written: reductions over a working set that is gone
      through again and again.
    * A peak is the best of a few short spells, each by its median: a roof is what can be reached, not what
      is usual, but no single sample makes it.

Source: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009), 65-76.
"""

from __future__ import annotations

import functools
import os
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

from .profile_interpreter import open_interpreter, time_runs
from .roofline_model import fully_connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# rows, depth, columns: 64 KiB of int8 weights or less, 256 KiB of float32.
_SHAPES = ((64, 256, 256), (128, 128, 128), (256, 256, 256))
_NUMPY_SIZES = (128, 256)
_SPELLS, _SPELL_S = 4, 0.03
_BANDWIDTH_SPELLS, _BANDWIDTH_S = 3, 0.02
_SMALLEST_BYTES, _LARGEST_BYTES = 4 << 10, 64 << 20
_STEP = 4
# Bytes that one call reads at least, so that the call itself costs nothing beside them.
_CALL_BYTES = 4 << 20
# Share of the CPUs that undisturbed measuring uses: one thread never waits; of several, some do at times.
_BUSY, _BUSY_POOL = 0.9, 0.6
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure(kind: str, threads: int) -> dict[str, Any]:
    """Return `peaks` and `bandwidths` (`results/profile_record.py` of the host) for a number of threads.

    `disturbed` tells whether other programs had the CPUs for part of the time. Has to be the first in its
    process that imports NumPy, whose threads are numbered when it is loaded.
    """
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    cpu_start_ns, start_ns = time.process_time_ns(), time.perf_counter_ns()
    peaks = []
    for dtype in ("int8", "float32"):
        rates = dict(_runtime_rates(kind, dtype, threads))
        if dtype == "float32":
            rates.update(_numpy_rates())
        workload, rate = max(rates.items(), key=lambda item: item[1])
        peaks.append({"dtype": dtype, "threads": threads, "macs_per_s": rate, "workload": workload})
    bandwidths = list(_bandwidths(threads))
    busy = (time.process_time_ns() - cpu_start_ns) / (time.perf_counter_ns() - start_ns) / threads
    return {
        "peaks": peaks,
        "bandwidths": bandwidths,
        "disturbed": busy < (_BUSY if threads == 1 else _BUSY_POOL),
    }


def _runtime_rates(kind: str, dtype: str, threads: int) -> Iterator[tuple[str, float]]:
    import numpy as np

    random = np.random.default_rng(0)
    for rows, depth, columns in _SHAPES:
        weights, data = _values(random, dtype, (columns, depth)), _values(random, dtype, (rows, depth))
        model = fully_connected(dtype, rows, depth, columns, weights.tobytes())
        interpreter = open_interpreter(kind, model, threads, "xnnpack", [data])
        rate = rows * depth * columns / _best_s(interpreter.invoke)
        yield f"{kind} FULLY_CONNECTED {rows}x{depth}x{columns}", rate


def _values(random: Any, dtype: str, shape: tuple[int, int]) -> Any:
    """Return random values without a 0."""
    import numpy as np

    if dtype == "int8":
        return (random.integers(1, 128, shape) * random.choice((-1, 1), shape)).astype(np.int8)
    return random.uniform(0.5, 1.0, shape).astype(np.float32)


def _numpy_rates() -> Iterator[tuple[str, float]]:
    import numpy as np

    for size in _NUMPY_SIZES:
        left, right = (np.full((size, size), value, np.float32) for value in (0.5, 0.75))
        out = np.empty_like(left)

        def multiply(left: Any = left, right: Any = right, out: Any = out) -> object:
            return np.matmul(left, right, out=out)

        yield f"numpy matmul {size}x{size}x{size}", size**3 / _best_s(multiply)


def _best_s(run: Callable[[], object], spell_s: float = _SPELL_S) -> float:
    """Return the seconds of one run: the best spell's median. A run longer than a spell is one by itself."""
    time_runs(run, spell_s, at_least=1)
    return min(statistics.median(time_runs(run, spell_s, at_least=1)) for _ in range(_SPELLS)) / 1e9


def _bandwidths(threads: int) -> Iterator[dict[str, Any]]:
    size = _SMALLEST_BYTES
    while size <= _largest_bytes():
        rate = max(_read_rate(size, threads, reduction) for reduction in ("maximum", "bitwise_or"))
        yield {"working_set_bytes": size, "threads": threads, "bytes_per_s": rate}
        size *= _STEP


def _largest_bytes() -> int:
    """Return the largest working set: beyond any cache, within a quarter of the memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(_SMALLEST_BYTES, min(_LARGEST_BYTES, memory // 4))


def _read_rate(size_bytes: int, threads: int, reduction: str) -> float:
    """Return bytes read per second, in the best of a few spells, by threads that share a working set evenly.

    Each thread reduces its part over and over in one call (a view that repeats the part without a copy), in
    which NumPy lets the other threads run.
    """
    import numpy as np

    dtype = np.dtype(np.int8 if reduction == "maximum" else np.uint64)
    items = max(1, size_bytes // threads // dtype.itemsize)
    repeats = max(1, _CALL_BYTES // (items * dtype.itemsize))
    reduce_all = getattr(np, reduction).reduce
    # Not zeros: the kernel keeps one page for all that were never written.
    parts = [np.ones(items, dtype) for _ in range(threads)]
    step = (0, dtype.itemsize)
    views = [np.lib.stride_tricks.as_strided(part, (repeats, items), step) for part in parts]
    reads = [functools.partial(reduce_all, view, axis=1) for view in views]
    if threads == 1:
        calls = 1 / _best_s(reads[0], _BANDWIDTH_S)
    else:
        calls = max(_calls_per_s(reads) for _ in range(_BANDWIDTH_SPELLS))
    return calls * repeats * items * dtype.itemsize


def _calls_per_s(reads: Sequence[Callable[[], object]]) -> float:
    """Return the calls per second of functions that each run in a thread of their own, again and again."""
    start = threading.Barrier(len(reads))
    spans: list[tuple[float, float, int]] = []

    def work(read: Callable[[], object]) -> None:
        read()
        start.wait()
        calls, begin = 0, time.perf_counter()
        while (now := time.perf_counter()) < begin + _BANDWIDTH_S:
            read()
            calls += 1
        spans.append((begin, now, calls))

    workers = [threading.Thread(target=work, args=(read,)) for read in reads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
    return sum(span[2] for span in spans) / (end - begin)
