"""Everything that a benchmark measures, in the job's process: the record, put together.

The job measures nothing itself: a fresh process does for every configuration and every pass, so that none
meets the caches, threads and memory of another. Around the windows of a configuration the job reads the
device's state and the power sensor (`windows.py`).
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from . import affinity, job_folder, process
from .characterize import characterize
from .children import run_child
from .conversation import Conversation
from .errors import AgentError
from .governor import governor
from .meter import open_meter
from .runtimes import Runtime, find_runtime
from .spec import check_spec, configurations, kept_samples
from .state import StateReader, hottest_c
from .sysfs import MACHINE
from .system import probe
from .windows import Bench, measure_configuration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir
    from .meter import Meter
    from .sysfs import Sources

__all__ = ["RECORD_VERSION", "check_spec", "measure"]
RECORD_VERSION = 2
# Above the temperature at the start: where the device goes back to on its own, and soon.
_COOL_OVER_START_C = 2.0
# What a child may take that loads a model and runs it a few times, on an emulated CPU.
_TIMEOUT_S = 600.0
_EVALUATION_TIMEOUT_S = 3600.0
_KEPT = ("job_id", "package_id", "name", "owner", "agent")
_KEPT_IF_THERE = ("tag", "stolen_from", "steal_reason")


def measure(
    work: WorkDir, folder: Path, order: dict[str, Any], *, sources: Sources = MACHINE
) -> dict[str, Any]:
    """Measure what a job asks for.

    Args:
        work: The work directory.
        folder: The job's folder.
        order: The job's `job.json`.
        sources: Where the kernel tells about the machine.

    Returns:
        The job's record (PROTOCOL.md).

    Raises:
        AgentError: No configuration could be measured because the runtime is broken, or a power sensor that
            was named cannot be had.
    """
    spec = order["spec"]
    runtime = find_runtime(work, order["runtime"])
    started, facts = time.time_ns(), probe(work)
    no_pin = affinity.why_not(spec["pin"]) if spec["pin"] else None
    pinned = None if no_pin else spec["pin"]
    with ExitStack() as stack:
        meter = stack.enter_context(open_meter(spec))
        no_governor = stack.enter_context(governor(work, spec["governor"], sources))
        run = _Run(work, runtime, order, folder, pinned)
        measured = run.everything(StateReader(sources), meter)
    refused = "; ".join(filter(None, (no_pin, no_governor)))
    set_governor = None if no_governor else spec["governor"]
    return {
        "record": RECORD_VERSION,
        **_origin(order, runtime),
        "started_unix_ns": started,
        "finished_unix_ns": time.time_ns(),
        "facts_before": facts,
        "facts_after": probe(work),
        "control": {"pinned": pinned, "governor": set_governor, "refused": refused or None},
        "power_sensor": meter.about,
        **measured,
    }


def _origin(order: dict[str, Any], runtime: Runtime) -> dict[str, Any]:
    """Return who asked for what, of which agent and runtime."""
    # Settings of a sensor can hold passwords, of a plug for example; a record is shown to others.
    spec = {key: value for key, value in order["spec"].items() if key != "power_settings"}
    python = ".".join(str(part) for part in sys.version_info[:3])
    source = "provisioned" if runtime.site else "system"
    return {
        **{key: order[key] for key in _KEPT},
        **{key: order.get(key) for key in _KEPT_IF_THERE},
        "labels": order.get("labels") or {},
        "spec": spec,
        "boot_id": process.boot_id(),
        "runtime": {**runtime.describe(), "python": python, "source": source},
    }


class _Run:
    """One walk through everything that the spec asks for."""

    def __init__(
        self, work: WorkDir, runtime: Runtime, order: dict[str, Any], folder: Path, pin: list[int] | None
    ) -> None:
        self._work = work
        self._runtime = runtime
        self._package = str(work.store / order["package_id"])
        self._spec: dict[str, Any] = order["spec"]
        self._folder = folder
        self._pin = pin
        self._asked = configurations(self._spec)
        passes = sum(self._spec[name] for name in ("memory", "evaluation", "profile"))
        self._total = len(self._asked) + passes
        self._begun = 0
        self._stage = ""

    def everything(self, reader: StateReader, meter: Meter) -> dict[str, Any]:
        """Return `configurations`, `memory`, `evaluation`, `profile` and `roofline` of the record."""
        start = reader.read()
        cool_to_c, start_c = self._spec["cool_to_c"], hottest_c(start["temperatures_c"])
        if cool_to_c is None and start_c is not None:
            cool_to_c = start_c + _COOL_OVER_START_C
        bench = Bench(self._spec, reader, meter, start["max_clocks_hz"], cool_to_c, self._tell)
        return {
            "configurations": self._configurations(bench),
            "memory": self._optional("memory", self._memory),
            "evaluation": self._optional("evaluation", self._evaluation),
            **self._characterized(),
        }

    def _configurations(self, bench: Bench) -> list[dict[str, Any]]:
        measured, crash = [], None
        for where in self._asked:
            self._begin(_name(where))
            try:
                measured.append(self._latency(where, bench))
            except AgentError as err:
                if err.code != "runtime_broken":
                    raise
                crash = err
                measured.append({**where, "unavailable": err.message, "windows": []})
        if crash and all("unavailable" in entry for entry in measured):
            raise crash
        return measured

    def _latency(self, where: dict[str, Any], bench: Bench) -> dict[str, Any]:
        request = {"spec": self._spec, "max_samples": kept_samples(self._spec), **where}
        with Conversation(self._runtime, self._request("latency", request)) as talk:
            return measure_configuration(talk, where, bench)

    def _memory(self) -> dict[str, Any]:
        base = self._child("baseline", _TIMEOUT_S)
        where = {"batch": self._spec["batches"][0], "threads": self._spec["threads"][0]}
        peak = self._child("memory", _TIMEOUT_S, delegate=self._spec["delegates"][0], **where)
        return peak if "unavailable" in peak else {**peak, "baseline_rss_bytes": base["peak_rss_bytes"]}

    def _evaluation(self) -> dict[str, Any]:
        return self._child("evaluation", _EVALUATION_TIMEOUT_S, threads=max(self._spec["threads"]))

    def _characterized(self) -> dict[str, Any]:
        if not self._spec["profile"]:
            return {name: {"unavailable": "not asked for"} for name in ("profile", "roofline")}
        self._begin("profile")
        try:
            return characterize(self._work, self._child, self._runtime, self._spec, self._package)
        except AgentError as err:
            return {name: {"unavailable": err.message} for name in ("profile", "roofline")}

    def _optional(self, name: str, take: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if not self._spec[name]:
            return {"unavailable": "not asked for"}
        self._begin(name)
        try:
            return take()
        except AgentError as err:
            return {"unavailable": err.message}

    def _child(self, operation: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        return run_child(self._runtime, self._request(operation, fields), timeout_s=timeout_s)

    def _request(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"op": operation, "package": self._package, "pin": self._pin, **fields}

    def _begin(self, stage: str) -> None:
        self._stage = stage
        job_folder.tell(self._folder, stage, self._begun, self._total)
        self._begun += 1

    def _tell(self, what: str) -> None:
        job_folder.tell(self._folder, f"{self._stage}: {what}", self._begun - 1, self._total)


def _name(where: dict[str, Any]) -> str:
    """Return a configuration's name for people."""
    threads = where["threads"]
    plain = f"batch {where['batch']}, {threads} thread{'s' * (threads > 1)}"
    return plain if where["delegate"] == "xnnpack" else f"{plain}, without delegate"
