"""Operators timed by LiteRT itself, through the C API of the library that its wheel contains.

Python has no such call, but `libLiteRt.so` exports it, and ctypes needs no compiler on the device. The
runtime times operators that it runs itself, and XNNPACK its kernels, which are what a delegated operator
becomes.

Rules:
    * The wheel holds no headers: prototypes and the layout of an event stand here by hand, so only versions
      that were tried are used; any other is an `UnsupportedProfileError`, and the profile is derived instead.
    * Times are means over the middle half of a round's runs by their total, so that preempted runs do not
      count; then the median of the rounds.
    * The clocks count whole microseconds. For the runtime's own operators that evens out over many runs.
      XNNPACK drops the fraction: half a microsecond is added to a kernel that took at least one, and the
      error says what is not known.
    * Rounds with and without profiling alternate, so that both meet the same clock and neighbours.

Source: LiteRT `litert/c/litert_profiler.h`, `litert_profiler_event.h`, `litert_compiled_model.h`,
`litert_opaque_options.h`, `options/litert_runtime_options.h`; TFLite `core/api/profiler.h` (event types).
"""

from __future__ import annotations

import ctypes
import os
import statistics
import struct
import time
from collections import Counter
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .profile_interpreter import ROUNDS, golden_inputs, median_and_error, open_interpreter, time_runs

if TYPE_CHECKING:
    from pathlib import Path

# Versions whose C API was tried, and whether opening a model takes the environment.
_VERSIONS = {"2.1.4": False, "2.2.0": True, "2.3.0": True}
# tag, type, start_us, elapsed_us, two records of memory use (3 x 8 bytes each), metadata 1 and 2, source.
_EVENT = struct.Struct("=Qi4xQQ48xQQi4x")
_OPERATOR, _DELEGATE, _DELEGATE_PROFILED = 2, 4, 8
_CPU, _LOCK_FOR_WRITING = 1, 1
_TYPE_BYTES = 4096  # room for a tensor type, whose layout is the library's business
_ROUND_S = 0.15
_MAX_RUNS = 400
# Threads of an idle pool spin for a while, waiting for work, on cores that the other pool needs.
_REST_S = 0.05
# XNNPACK divides nanoseconds by 1000 and drops the rest; the runtime takes the difference of two clocks that
# each count whole microseconds. Source: XNNPACK `src/runtime.c`, xnn_get_elapsed_time; TFLite
# `profiling/profile_buffer.cc`.
_CUT_OFF_NS = 1000.0
# Shorter operators, on average, are lost in what the clock cuts off.
_SHORTEST_NS = 2000


class UnsupportedProfileError(Exception):
    """This runtime, or this model, cannot be profiled so; the message says why."""


@dataclass(frozen=True)
class _Piece:
    """What is timed: an operator that the runtime runs (`index`), or a kernel of a delegate (`partition`)."""

    index: int | None
    partition: int | None
    name: str


def profile(kind: str, folder: Path, manifest: dict[str, Any], threads: int, delegate: str) -> dict[str, Any]:
    """Return a profile (`results/profile_record.py` of the host) of method "runtime".

    Raises:
        UnsupportedProfileError: The runtime or the model cannot be profiled this way.
    """
    if kind != "litert":
        raise UnsupportedProfileError(f"{kind} does not time its operators")
    inputs = golden_inputs(folder, manifest)
    path = folder / manifest["model"]
    plain = open_interpreter(kind, path.read_bytes(), threads, delegate, inputs)
    compiled = _CompiledModel(path, threads, delegate)
    compiled.fill([array.tobytes() for array in inputs])
    for invoke in (plain.invoke, compiled.run):
        time_runs(invoke, _ROUND_S)
    latency_ns = statistics.median(time_runs(plain.invoke, _ROUND_S))
    runs = max(1, min(_MAX_RUNS, int(_ROUND_S * 1e9 / latency_ns)))
    plain_ns: list[int] = []
    rounds = []
    rest_s = _REST_S if threads > 1 else 0.0
    for _ in range(ROUNDS):
        time.sleep(rest_s)
        plain_ns += time_runs(plain.invoke, _ROUND_S, at_least=1)
        time.sleep(rest_s)
        rounds.append(compiled.profiled(runs))
    return _result(rounds, threads, int(statistics.median(plain_ns)))


def _result(rounds: list[list[list[tuple[_Piece, int]]]], threads: int, plain_ns: int) -> dict[str, Any]:
    """Return the profile.

    Args:
        rounds: By round and run: what was timed, and its microseconds.
        threads: Number of threads.
        plain_ns: Median latency without profiling.
    """
    pieces = _usual([run for runs in rounds for run in runs])
    if plain_ns < _SHORTEST_NS * len(pieces):
        raise UnsupportedProfileError(
            "the operators are too short for LiteRT's clock, which counts microseconds"
        )
    kept = [_typical([run for run in runs if [piece for piece, _ in run] == pieces]) for runs in rounds]
    kept = [runs for runs in kept if runs]
    if len(kept) < 2:
        raise UnsupportedProfileError("the model does not run the same operators each time")
    operators = []
    for position, piece in enumerate(pieces):
        means = [statistics.fmean(run[position][1] for run in runs) for runs in kept]
        time_ns, error_ns = _resolved(piece, *(1e3 * value for value in median_and_error(means)))
        figures = {"time_ns": time_ns, "error_ns": error_ns, "samples": sum(map(len, kept))}
        operators.append({**asdict(piece), **figures})
    total_ns = sum(operator["time_ns"] for operator in operators)
    about = {"method": "runtime", "threads": threads, "total_ns": total_ns, "plain_ns": plain_ns}
    return {**about, "operators": operators, "note": None}


def _resolved(piece: _Piece, time_ns: float, error_ns: float) -> tuple[float, float]:
    """Return a time and its error, with what XNNPACK's clock cut off."""
    if piece.partition is None:
        return time_ns, error_ns
    if time_ns < _CUT_OFF_NS:
        return time_ns, error_ns + _CUT_OFF_NS
    return time_ns + _CUT_OFF_NS / 2, error_ns + _CUT_OFF_NS / 2


def _usual(runs: list[list[tuple[_Piece, int]]]) -> list[_Piece]:
    counts = Counter(tuple(piece for piece, _ in run) for run in runs)
    return list(counts.most_common(1)[0][0])


def _typical(runs: list[list[tuple[_Piece, int]]]) -> list[list[tuple[_Piece, int]]]:
    """Return the middle half of the runs by their total; all where there are fewer than four."""
    ordered = sorted(runs, key=lambda run: sum(elapsed for _, elapsed in run))
    quarter = len(ordered) // 4
    return ordered[quarter : len(ordered) - quarter]


class _CompiledModel:
    """A model compiled for profiling. It lives as long as its process, and is never destroyed."""

    def __init__(self, path: Path, threads: int, delegate: str) -> None:
        self._library, takes_environment = _load_library()
        self._kept: list[Any] = []  # what the library points to
        environment, model, options = c_void_p(), c_void_p(), c_void_p()
        self._call("CreateEnvironment", c_int(0), None, byref(environment))
        first = [environment] if takes_environment else []
        self._call("CreateModelFromFile", *first, c_char_p(os.fsencode(path)), byref(model))
        self._call("CreateOptions", byref(options))
        self._call("SetOptionsHardwareAccelerators", options, c_int(_CPU))
        kernels = '\nkernel_mode = "builtin"' if delegate == "none" else ""
        self._add_options(options, "runtime_options_string", "enable_profiling = true\n")
        self._add_options(options, "xnnpack", f"num_threads = {threads}{kernels}\n")
        self._compiled = c_void_p()
        self._call("CreateCompiledModel", environment, model, options, byref(self._compiled))
        signature = c_void_p()
        self._call("GetModelSignature", model, c_size_t(0), byref(signature))
        self._inputs = self._buffers(environment, signature, "Input")
        self._outputs = self._buffers(environment, signature, "Output")
        self._profiler = c_void_p()
        self._call("CompiledModelGetProfiler", self._compiled, byref(self._profiler))

    def fill(self, contents: list[bytes]) -> None:
        """Write the inputs, where their sizes are those of the signature's in the same order."""
        for buffer, content in zip(self._inputs, contents):
            size, address = c_size_t(), c_void_p()
            self._call("GetTensorBufferPackedSize", c_void_p(buffer), byref(size))
            if size.value == len(content):
                self._call("LockTensorBuffer", c_void_p(buffer), byref(address), c_int(_LOCK_FOR_WRITING))
                ctypes.memmove(address, content, len(content))
                self._call("UnlockTensorBuffer", c_void_p(buffer))

    def run(self) -> None:
        """Run once."""
        inputs, outputs = self._inputs, self._outputs
        self._call(
            "RunCompiledModel",
            *(self._compiled, c_size_t(0), c_size_t(len(inputs)), inputs, c_size_t(len(outputs)), outputs),
        )

    def profiled(self, runs: int) -> list[list[tuple[_Piece, int]]]:
        """Run some times and return, for each run, what was timed and its microseconds."""
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        count, ends = c_int(), []
        for _ in range(runs):
            self.run()
            self._call("GetNumProfilerEvents", self._profiler, byref(count))
            ends.append(count.value)
        self._call("StopProfiler", self._profiler)
        events = self._events(ends[-1])
        return [_pieces(events[start:end]) for start, end in zip([0, *ends], ends)]

    def _events(self, count: int) -> list[tuple[str, int, int, int, int]]:
        """Return name, type, microseconds and both metadata of each event."""
        if not count:
            raise UnsupportedProfileError("LiteRT recorded no event")
        # Twice the room: were an event larger than it is believed to be, this would be seen, not crash.
        buffer = ctypes.create_string_buffer(2 * count * _EVENT.size)
        self._call("GetProfilerEvents", self._profiler, c_int(count), buffer)
        data = buffer.raw
        if any(data[count * _EVENT.size :]):
            raise UnsupportedProfileError("this LiteRT's profile events have an unknown layout")
        found = []
        for tag, kind, _, elapsed_us, first, second, _ in _EVENT.iter_unpack(data[: count * _EVENT.size]):
            name = (ctypes.string_at(tag) or b"?").decode("utf-8", "replace")[:200]
            found.append((name, kind, elapsed_us, first, second))
        return found

    def _buffers(self, environment: c_void_p, signature: c_void_p, kind: str) -> Any:
        count = c_size_t()
        self._call(f"GetNumSignature{kind}s", signature, byref(count))
        buffers = (c_void_p * count.value)()
        for position in range(count.value):
            tensor, needs, buffer = c_void_p(), c_void_p(), c_void_p()
            place, about = c_size_t(position), ctypes.create_string_buffer(_TYPE_BYTES)
            self._call(f"GetSignature{kind}TensorByIndex", signature, place, byref(tensor))
            self._call("GetRankedTensorType", tensor, about)
            getter = f"GetCompiledModel{kind}BufferRequirements"
            self._call(getter, self._compiled, c_size_t(0), place, byref(needs))
            creator = "CreateManagedTensorBufferFromRequirements"
            self._call(creator, environment, about, needs, byref(buffer))
            buffers[position] = buffer.value
        return buffers

    def _add_options(self, options: c_void_p, identifier: str, toml: str) -> None:
        payload = ctypes.create_string_buffer(toml.encode())
        destroy = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)  # Python owns the payload
        self._kept += [payload, destroy]
        made, name = c_void_p(), c_char_p(identifier.encode())
        self._call("CreateOpaqueOptions", name, ctypes.cast(payload, c_void_p), destroy, byref(made))
        self._call("AddOpaqueOptions", options, made)

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, f"LiteRt{name}")
        function.restype = c_uint32
        if status := function(*arguments):
            raise UnsupportedProfileError(f"LiteRt{name} failed with status {status}")


def _load_library() -> tuple[ctypes.CDLL, bool]:
    module: Any = import_module("ai_edge_litert")
    version = getattr(module, "__version__", None)
    if version not in _VERSIONS:
        known = ", ".join(_VERSIONS)
        raise UnsupportedProfileError(f"LiteRT {version} has not been tried; {known} have")
    try:
        library = ctypes.CDLL(os.path.join(os.path.dirname(module.__file__), "libLiteRt.so"))
    except OSError as err:
        raise UnsupportedProfileError(f"libLiteRt.so cannot be loaded: {err}") from err
    return library, _VERSIONS[version]


def _pieces(events: list[tuple[str, int, int, int, int]]) -> list[tuple[_Piece, int]]:
    """Return what the events of one run time.

    A delegate numbers its kernels from 0 in each part of the model that it has taken.
    """
    found: list[tuple[_Piece, int]] = []
    partition, last = -1, -1
    for name, kind, elapsed_us, first, second in events:
        if kind == _OPERATOR:
            if second:
                raise UnsupportedProfileError("the model runs operators of several subgraphs")
            found.append((_Piece(first, None, name), elapsed_us))
            last = -1
        elif kind in (_DELEGATE, _DELEGATE_PROFILED):
            partition += first <= last or last < 0
            last = first
            found.append((_Piece(None, partition, name), elapsed_us))
    return found
