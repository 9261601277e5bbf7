"""Run a `.tflite` model with ai-edge-litert, or with tflite-runtime where that is the wheel that exists.

Both have the same `Interpreter`. Where nothing else is asked for it has the default delegate (XNNPACK):
golden check, benchmark and what the users of the package will run are the same kernels.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any

from ..errors import AgentError
from .probe_model import PROBE_MODEL

if TYPE_CHECKING:
    from pathlib import Path

MODULES = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
_DISTRIBUTIONS = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


class UnsupportedError(Exception):
    """The model cannot be run in this configuration; the message says why. Not a failure of the runtime."""


class Runner:
    """A model, loaded and ready.

    Attributes:
        invoke: Runs the model once on the inputs that were set.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        manifest: dict[str, Any],
        *,
        batch: int | None = None,
        threads: int | None = 1,
        delegate: str = "xnnpack",
    ) -> None:
        """Make the interpreter and allocate its tensors.

        Args:
            kind: "litert" or "tflite-runtime".
            folder: The package's folder.
            manifest: The package's manifest, checked.
            batch: Samples an invoke; None for the batch that the model was built with.
            threads: Number of threads.
            delegate: "xnnpack", the runtime's default, or "none" for its built-in kernels.

        Raises:
            UnsupportedError: The model cannot be resized to the batch, or the runtime has no such choice.
            AgentError: `bad_package`: the model's tensors are not those of the manifest.
        """
        self._manifest = manifest
        built = manifest["inputs"][0]["shape"][0] if manifest["inputs"][0]["shape"] else 1
        self.batch = built if batch is None else batch
        self._interpreter = _load_model(kind, folder / manifest["model"], threads, delegate)
        self._resize(built)
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._check("input", self._inputs, manifest["inputs"], built)
        self._check("output", self._outputs, manifest["outputs"], built)
        self.invoke = self._interpreter.invoke

    def set_inputs(self, arrays: list[Any]) -> None:
        """Set every input, in the manifest's order; arrays of the inputs' dtype and (resized) shape."""
        for detail, array in zip(self._inputs, arrays):
            self._interpreter.set_tensor(detail["index"], array)

    def outputs(self) -> list[Any]:
        """Return copies of every output, in the manifest's order."""
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._outputs]

    def _resize(self, built: int) -> None:
        wanted = [_shape(spec, built, self.batch) for spec in self._manifest["inputs"]]
        try:
            for detail, shape in zip(self._interpreter.get_input_details(), wanted):
                if list(detail["shape"]) != shape:
                    self._interpreter.resize_tensor_input(detail["index"], shape)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as err:
            if self.batch == built:
                raise
            message = f"the model cannot be resized to batch {self.batch}: {_first_line(err)}"
            raise UnsupportedError(message) from err

    def _check(
        self, what: str, details: list[dict[str, Any]], specs: list[dict[str, Any]], built: int
    ) -> None:
        if len(details) != len(specs):
            message = f"The model has {len(details)} {what}s; the manifest names {len(specs)}."
            raise AgentError("bad_package", message, "Build the package again.")
        for detail, spec in zip(details, specs):
            shape = [int(size) for size in detail["shape"]]
            dtype = detail["dtype"].__name__.rstrip("_")
            if shape == _shape(spec, built, self.batch) and dtype == spec["dtype"]:
                continue
            if self.batch != built and dtype == spec["dtype"]:
                message = f"with batch {self.batch} the {what} {spec['name']!r} has the shape {shape}"
                raise UnsupportedError(message)
            message = f"The model's {what} {spec['name']!r} is {dtype} {shape}; the manifest says "
            message += f"{spec['dtype']} {spec['shape']}."
            raise AgentError("bad_package", message, "Build the package again.")


def import_runtime(kind: str) -> None:
    """Load the runtime's libraries, and nothing else.

    Raises:
        AgentError: As `load_once`.
    """
    _interpreter_class(kind)


def load_once(kind: str) -> dict[str, Any]:
    """Load the runtime, run a model of one addition in it, and say what it is.

    The model matters: tflite-runtime imports well beside NumPy 2 and fails at its first model.

    Returns:
        `kind`, and the versions `version` and `numpy`; None where one does not say.

    Raises:
        AgentError: `runtime_missing`, or `runtime_broken` with what the loader says.
    """
    _run_probe_model(kind)
    return {"kind": kind, "version": _version(_DISTRIBUTIONS[kind]), "numpy": _version("numpy")}


def survey(known: dict[str, Any] | None) -> dict[str, Any]:
    """Say which runtime this interpreter's own site-packages hold, and whether it works.

    Args:
        known: What this function returned before: what is still the same is not loaded again.

    Returns:
        `runtime` as from `load_once` or None, `reason` why there is none that works (None where there simply
        is none), `numpy` (version or None), and `origin`, which tells these files from others.
    """
    present = [kind for kind, module in MODULES.items() if importlib.util.find_spec(module)]
    origin = [_origin(module) for module in (*MODULES.values(), "numpy")]
    if known and known.get("origin") == origin:
        return known
    found: dict[str, Any] = {"runtime": None, "reason": None, "numpy": _version("numpy"), "origin": origin}
    for kind in present:
        try:
            return {**found, "runtime": load_once(kind), "reason": None}
        except AgentError as err:
            found["reason"] = err.message
    return found


def _interpreter_class(kind: str) -> Any:
    try:
        return importlib.import_module(f"{MODULES[kind]}.interpreter").Interpreter
    except ModuleNotFoundError as err:
        message = f"The runtime's Python has no module {err.name}."
        raise AgentError("runtime_missing", message, "Deploy with a provisioned runtime.") from err
    except (ImportError, OSError, SystemError, AttributeError) as err:
        message = f"{MODULES[kind]} cannot be loaded: {_first_line(err)}."
        remedy = "Another version of the runtime may suit this device's C library: `edgepack devices check`."
        raise AgentError("runtime_broken", message, remedy) from err


def _load_model(kind: str, path: Path, threads: int | None, delegate: str) -> Any:
    interpreter_class = _interpreter_class(kind)
    try:
        return interpreter_class(
            model_path=str(path), num_threads=threads, **_without_delegate(kind, delegate)
        )
    except ValueError as err:
        message = f"The runtime does not take {path.name} for a model: {_first_line(err)}."
        raise AgentError("bad_package", message, "Build the package again for this target.") from err


def _without_delegate(kind: str, delegate: str) -> dict[str, Any]:
    """Return the option of `Interpreter` that leaves the default delegate out; nothing where it is wanted."""
    if delegate == "xnnpack":
        return {}
    resolvers = getattr(importlib.import_module(f"{MODULES[kind]}.interpreter"), "OpResolverType", None)
    if resolvers is None:
        message = f"this {kind} cannot leave its default delegate out"
        raise UnsupportedError(message)
    return {"experimental_op_resolver_type": resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


def _run_probe_model(kind: str) -> None:
    import numpy as np

    try:
        interpreter = _interpreter_class(kind)(model_content=PROBE_MODEL)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([1.5, -2.0], np.float32))
        interpreter.invoke()
        answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist()
    except (SystemError, RuntimeError, ValueError) as err:
        message = (
            f"{MODULES[kind]} is there but cannot run a model (NumPy {np.__version__}): {_first_line(err)}."
        )
        raise AgentError(
            "runtime_broken", message, "tflite-runtime needs numpy < 2; provision the runtime."
        ) from err
    if answer != [3.0, -4.0]:
        message = f"{MODULES[kind]} computes 1.5 + 1.5 and -2 + -2 as {answer}."
        raise AgentError("runtime_broken", message, "Use another runtime, or (emulated) another QEMU_CPU.")


def _version(distribution: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _origin(module: str) -> str | None:
    """Return which file a module is, and of when; None where there is none."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        return None
    return f"{spec.origin} {os.stat(spec.origin).st_mtime_ns}"


def _shape(spec: dict[str, Any], built: int, batch: int) -> list[int]:
    """Return a tensor's shape with another batch; one whose first axis is not the batch keeps it."""
    shape: list[int] = list(spec["shape"])
    if batch != built and shape and shape[0] == built:
        shape[0] = batch
    return shape


def _first_line(err: BaseException) -> str:
    text = str(err).strip() or type(err).__name__
    return text.splitlines()[0][:300].rstrip(".")
