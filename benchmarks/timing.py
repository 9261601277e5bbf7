"""What every benchmark here shares: sides in turn, their ratio with its spread, and the machine's state.

Rules:
    * Sides are interleaved and the order turns round after each repeat, so that load and drift hit all alike.
    * A ratio is taken repeat by repeat; shown are the median, a 95 % interval of it, and the whole range.
    * CPU time (user and system, children included) stands beside wall time: on a busy machine it says more.
    * Processes find their modules compiled, as an installation leaves them, whatever the environment says.
    * A bar is shown beside the figure. Nothing is asserted.

Source of the interval: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (the
    percentile interval), with 4,000 resamples of a fixed seed.
"""

from __future__ import annotations

import functools
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ResultT = TypeVar("ResultT")

LEFT_OUT = 77
"""Exit status of a benchmark that cannot run here; that of a skipped test in GNU Automake."""

_RESAMPLES = 4000
_SEED = 20_261_122


@dataclass(frozen=True)
class Spent:
    """What one process took: wall and CPU time in seconds, CPU of its own children included."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Spread:
    """The middle of some repeats and how sure it is: a ratio, or seconds.

    Attributes:
        median: Their median.
        low: Lower end of the 95 % interval of the median.
        high: Its upper end.
        smallest: The smallest of them.
        largest: The largest.
        repeats: How many there are.
    """

    median: float
    low: float
    high: float
    smallest: float
    largest: float
    repeats: int

    def __str__(self) -> str:
        interval = f"95 % interval {self.low:.3f} to {self.high:.3f}"
        return f"median {self.median:.3f} ({interval}; range {self.smallest:.3f} to {self.largest:.3f})"


def interleave(sides: Mapping[str, Callable[[], ResultT]], repeats: int) -> dict[str, list[ResultT]]:
    """Call every side once a repeat, after a round that does not count; return what each side returned."""
    names = list(sides)
    results: dict[str, list[ResultT]] = {name: [] for name in names}
    for name in names:  # fills the caches of the file system, writes byte code
        sides[name]()
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            results[name].append(sides[name]())
    return results


def spread(values: Sequence[float]) -> Spread:
    """Return the median of some values with its interval and range."""
    draw = random.Random(_SEED)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    low, high = medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES) - 1]
    return Spread(statistics.median(values), low, high, min(values), max(values), len(values))


def ratio(own: Sequence[float], other: Sequence[float]) -> Spread:
    """Return own over other, repeat by repeat."""
    return spread([mine / theirs for mine, theirs in zip(own, other, strict=True)])


def run(command: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] = {}) -> Spent:
    """Run a command to its end and return what it took; its output is dropped.

    Raises:
        SystemExit: It failed; with the end of what it wrote.
    """
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        variables = {**os.environ, **with_byte_code(), **environment}
        child = subprocess.Popen(
            command, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            text = log.read()[-2000:].decode("utf-8", "replace")
            message = f"{' '.join(command)} ended with {child.returncode}:\n{text}"
            raise SystemExit(message)
    return Spent(wall_s, usage.ru_utime + usage.ru_stime)


def with_byte_code() -> dict[str, str]:
    """Return the variables with which Python keeps compiled modules, in a folder that goes when this ends."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": _byte_code_folder().name}


def machine() -> str:
    """Return one line on where and when this runs, with the load averages of this moment."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    cores = len(os.sched_getaffinity(0))
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{now}; {_cpu_model()}, {cores} cores; Python {platform.python_version()}; load {load}"


def begin(title: str) -> None:
    """Say what is measured and on which machine."""
    print(f"{title}\n  {machine()}", flush=True)


def end() -> None:
    """Say what the load was when it was over; above the number of cores, wall times are upper bounds."""
    print(f"  load at the end: {', '.join(f'{value:.2f}' for value in os.getloadavg())}", flush=True)


def show(what: str, figure: Spread, *, unit: str = "", bar: str = "") -> None:
    """Print one figure with its spread, and the bar that it is held against."""
    suffix = f"{unit and ' '}{unit}, {figure.repeats} repeats"
    print(f"  {what}: {figure}{suffix}{bar and f'  [bar: {bar}]'}", flush=True)


def leave_out(reason: str) -> NoReturn:
    """End this benchmark because it cannot run here, and say why."""
    print(f"Left out: {reason}", file=sys.stderr)
    raise SystemExit(LEFT_OUT)


def python(*arguments: str) -> list[str]:
    """Return the command line of this Python."""
    return [sys.executable, *arguments]


@functools.cache
def _byte_code_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="edgepack-byte-code-")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()
