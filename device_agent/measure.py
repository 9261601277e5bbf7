"""One configuration, measured in a process of its own that answers one request after the other.

    load      make the interpreter, invoke once, compare with the golden outputs
    warm_up   invoke until the latency has settled
    prepare   set the golden inputs of the next window, invoke for a moment, compare
    window    time inferences
    samples   hand over the samples of the last window

Between two requests the process is blocked: the job reads the device's state and drives the power sensor
meanwhile. A window's samples are handed over by a request of their own, so that the answer to `window` comes
as soon as the last inference ends: what a power sensor counts beside the window stays below a millisecond.
A configuration that computes something else than the golden outputs is unavailable, not fast.
"""

from __future__ import annotations

import gc
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import AgentError
from .inputs import difference, set_golden_inputs
from .package import MANIFEST_NAME, parse_manifest
from .runners.litert import Runner, UnsupportedError, import_runtime
from .timing import time_window, timer_overhead_ns, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

# Before each window: clocks fall within milliseconds of idleness, and rise as fast.
_PREPARE_S = 0.1
_clock = time.monotonic_ns


class Measurement:
    """The child's side of the conversation about one configuration.

    Args:
        request: The opening request: `kind`, `package` (its folder), `batch`, `threads`, `delegate`,
            `spec` and `max_samples`.

    Attributes:
        operations: What can be asked.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._spec: dict[str, Any] = request["spec"]
        self._folder = Path(request["package"])
        self._manifest: dict[str, Any] = {}
        self._loaded: Runner | None = None
        self._samples: array[int] = array("q")
        self.operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "load": self._load,
            "warm_up": self._warm_up,
            "prepare": self._prepare,
            "window": self._window,
            "samples": self._hand_over,
        }

    @property
    def _runner(self) -> Runner:
        if self._loaded is None:
            raise AgentError("internal", "The model is not loaded.", "This is a bug in edgepack.")
        return self._loaded

    def _load(self, _: dict[str, Any]) -> dict[str, Any]:
        kind, batch = self._request["kind"], self._request["batch"]
        self._manifest = parse_manifest((self._folder / MANIFEST_NAME).read_bytes()).manifest
        import_runtime(kind)
        try:
            begin = _clock()
            runner = Runner(
                kind,
                self._folder,
                self._manifest,
                batch=batch,
                threads=self._request["threads"],
                delegate=self._request["delegate"],
            )
            load_ns = _clock() - begin
            cases = set_golden_inputs(runner, self._folder, self._manifest)
        except UnsupportedError as err:
            return {"unavailable": str(err)}
        begin = _clock()
        try:
            runner.invoke()
        except RuntimeError as err:
            return {"unavailable": f"the runtime cannot run the model with batch {batch}: {err}"[:400]}
        first_ns = _clock() - begin
        if wrong := difference(runner, self._folder, self._manifest, cases):
            return {"unavailable": wrong}
        self._loaded = runner
        return {"load_ns": load_ns, "first_inference_ns": first_ns, "timer_overhead_ns": timer_overhead_ns()}

    def _warm_up(self, _: dict[str, Any]) -> dict[str, Any]:
        return warm_up(self._runner.invoke, self._spec)

    def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        runner = self._runner
        cases = set_golden_inputs(runner, self._folder, self._manifest, request["inputs"])
        end = _clock() + int(min(_PREPARE_S, self._spec["warmup_min_seconds"]) * 1e9)
        runner.invoke()
        if wrong := difference(runner, self._folder, self._manifest, cases):
            return {"unavailable": wrong}
        gc.collect()  # here, because it would take its time between the power sensor's begin and the window's
        while _clock() < end:
            runner.invoke()
        return {}

    def _window(self, _: dict[str, Any]) -> dict[str, Any]:
        most = self._request["max_samples"]
        window, self._samples = time_window(self._runner.invoke, self._spec, most)
        return window

    def _hand_over(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"samples_ns": self._samples.tolist()}
