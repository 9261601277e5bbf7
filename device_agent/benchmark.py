"""The benchmark job: one process that starts a fresh process for every configuration, and writes one record.

It runs on when the agent that started it ends. It measures nothing itself: while a configuration is timed,
it only waits (`measure.py` holds the rules of measuring).
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from typing import TYPE_CHECKING, Any

from . import process
from .children import run_child
from .durable import read_json, write_json
from .errors import AgentError, from_os_error
from .lease import adopt
from .protocol import bad_request
from .runtimes import Runtime, find_runtime
from .system import probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir

RECORD_VERSION = 1
# What a child may take besides the timed part: loading, a slow first inference, an emulated CPU.
_ALLOWANCE_S = 600.0
_EVALUATION_TIMEOUT_S = 3600.0
# Defaults and bounds. Source of the defaults: LiteRT's benchmark_model.
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "warmup_min_runs": (1, 0, 1_000_000),
    "warmup_min_seconds": (0.5, 0, 3600),
    "min_runs": (50, 1, 1_000_000),
    "min_seconds": (1.0, 0, 3600),
    "max_seconds": (150.0, 0.001, 7200),
}


def check_spec(value: Any) -> dict[str, Any]:
    """Check the `spec` of a request and fill in what it leaves out.

    Raises:
        AgentError: `bad_request`, naming the key.
    """
    if not isinstance(value, dict):
        raise bad_request("bench.start: 'spec' is not an object.")
    spec: dict[str, Any] = {}
    for key, highest in (("batches", 4096), ("threads", 256)):
        items = value.get(key, [1])
        good = isinstance(items, list) and 0 < len(items) <= 32
        if not good or not all(type(item) is int and 1 <= item <= highest for item in items):
            raise bad_request(f"bench.start: 'spec.{key}' is {items!r:.80}.")
        spec[key] = items
    for key, (default, low, high) in _NUMBERS.items():
        number = value.get(key, default)
        kinds = (int,) if isinstance(default, int) else (int, float)
        if type(number) not in kinds or not low <= number <= high:
            raise bad_request(f"bench.start: 'spec.{key}' is {number!r:.40}; {low} to {high} is allowed.")
        spec[key] = number
    for key in ("memory", "evaluation"):
        spec[key] = value.get(key, True) is True
    return spec


def run_job(work: WorkDir, job_id: str) -> int:
    """Be the job's process: measure, write the record or the failure, give the lease back.

    Returns:
        The exit status.
    """
    folder = work.jobs / job_id
    write_json(folder / "process.json", process.identify(os.getpid()))
    order = read_json(folder / "job.json")
    try:
        lease = adopt(work, order["lease"])
        try:
            write_json(folder / "record.json", _measure(work, folder, order))
        finally:
            lease.release()
    except AgentError as err:
        failure = err
    except OSError as err:
        failure = from_os_error(err)
    except Exception as err:
        traceback.print_exc()
        message = f"The benchmark failed: {type(err).__name__}: {err}."
        failure = AgentError("internal", message, "This is a bug in edgepack; please report it.")
    else:
        return 0
    about = {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
    with contextlib.suppress(OSError):  # a full disk takes no failure either: the job is lost then
        write_json(folder / "failure.json", about)
    return 1


def _measure(work: WorkDir, folder: Path, order: dict[str, Any]) -> dict[str, Any]:
    runtime = find_runtime(work, order["runtime"])
    started, facts = time.time_ns(), probe(work)
    run = _Run(runtime, {"package": str(work.store / order["package_id"])}, order["spec"], folder)
    measured = run.everything()
    kept = ("job_id", "package_id", "name", "owner", "spec", "agent")
    source = "provisioned" if runtime.site else "system"
    about = {**runtime.describe(), "python": facts["python"]["version"], "source": source}
    return {
        "record": RECORD_VERSION,
        **{key: order[key] for key in kept},
        "boot_id": process.boot_id(),
        "started_unix_ns": started,
        "finished_unix_ns": time.time_ns(),
        "runtime": about,
        "facts_before": facts,
        "facts_after": probe(work),
        **measured,
    }


class _Run:
    """One walk through everything that the spec asks for."""

    def __init__(self, runtime: Runtime, package: dict[str, Any], spec: dict[str, Any], folder: Path) -> None:
        self._runtime = runtime
        self._package = package
        self._spec = spec
        self._path = folder / "progress.json"
        self._total = len(spec["batches"]) * len(spec["threads"]) + spec["memory"] + spec["evaluation"]
        self._done = 0

    def everything(self) -> dict[str, Any]:
        """Return `configurations`, `memory` and `evaluation` of the record."""
        return {
            "configurations": self._configurations(),
            "memory": self._optional("memory", self._memory),
            "evaluation": self._optional("evaluation", self._evaluation),
        }

    def _configurations(self) -> list[dict[str, Any]]:
        measured, crash = [], None
        for batch in self._spec["batches"]:
            for threads in self._spec["threads"]:
                self._tell(f"batch {batch}, {threads} thread{'s' * (threads > 1)}")
                try:
                    measured.append(self._latency(batch, threads))
                except AgentError as err:
                    if err.code != "runtime_broken":
                        raise
                    crash = err
                    measured.append({"batch": batch, "threads": threads, "unavailable": err.message})
        if crash and all("unavailable" in entry for entry in measured):
            raise crash
        return measured

    def _latency(self, batch: int, threads: int) -> dict[str, Any]:
        timeout_s = 2 * self._spec["max_seconds"] + _ALLOWANCE_S
        return self._child("latency", timeout_s, batch=batch, threads=threads, spec=self._spec)

    def _memory(self) -> dict[str, Any]:
        base = self._child("baseline", _ALLOWANCE_S)
        where = {"batch": self._spec["batches"][0], "threads": self._spec["threads"][0]}
        peak = self._child("memory", _ALLOWANCE_S, **where)
        return peak if "unavailable" in peak else {**peak, "baseline_rss_bytes": base["peak_rss_bytes"]}

    def _evaluation(self) -> dict[str, Any]:
        return self._child("evaluation", _EVALUATION_TIMEOUT_S, threads=max(self._spec["threads"]))

    def _optional(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if not self._spec[name]:
            return {"unavailable": "not asked for"}
        self._tell(name)
        try:
            return measure()
        except AgentError as err:
            return {"unavailable": err.message}

    def _child(self, operation: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        return run_child(self._runtime, {"op": operation, **self._package, **fields}, timeout_s=timeout_s)

    def _tell(self, stage: str) -> None:
        self._done += 1
        write_json(self._path, {"stage": stage, "done": self._done - 1, "total": self._total})
