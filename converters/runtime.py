"""Run a `.tflite` on the host: the only place that touches the LiteRT interpreter.

Rules:
    * Inputs and outputs are lists of arrays in the order of the model's own inputs and outputs.
    * The kernels are named, because "the output of the model" means nothing without them (three sets of
      kernels give three slightly different answers): see `Kernels`.
    * A broken model can crash the native interpreter. A file that nobody has run yet goes first through
      `check_runs`, which runs it in a process of its own.
"""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgepack.converters.artifacts import sha256_of
from edgepack.converters.errors import ConversionError
from edgepack.converters.isolation import run_isolated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Kernels = Literal["default", "builtin", "reference"]
"""Which kernels run: "default" is XNNPACK where it has a kernel, as on a device; "builtin" is LiteRT's own
optimized kernels without XNNPACK; "reference" is LiteRT's plain reference kernels, slow and simple."""

_RESOLVERS: dict[str, str] = {
    "default": "BUILTIN",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_REMEDY = "Check the file with `edgepack inspect`, or export the model again."
_announcement_lock = threading.Lock()
_announced = threading.Event()
_good: set[str] = set()  # SHA-256 of what `check_runs` has run


@dataclass(frozen=True)
class TensorDetails:
    """An input or output of a model.

    Attributes:
        name: The tensor's name in the file.
        index: Its index in the model, for `LiteRtModel.tensor`.
        shape: Its shape.
        dtype: Its NumPy type.
        scale: Quantization scale (`real = scale * (q - zero_point)`); None where the tensor is not quantized.
        zero_point: Quantization zero point; None where the tensor is not quantized.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float | None
    zero_point: int | None


class LiteRtModel:
    """A model loaded in the LiteRT interpreter, ready to run. Not for use by several threads at once."""

    def __init__(self, interpreter: Any, name: str) -> None:  # noqa: ANN401 - the library is untyped
        self._interpreter = interpreter
        self._name = name
        self.inputs = tuple(_details(d) for d in interpreter.get_input_details())
        self.outputs = tuple(_details(d) for d in interpreter.get_output_details())

    @classmethod
    def open(
        cls,
        model: Path | bytes,
        *,
        num_threads: int = 1,
        kernels: Kernels = "default",
        preserve_all_tensors: bool = False,
    ) -> LiteRtModel:
        """Load a model and allocate its tensors.

        Args:
            model: The `.tflite` file, or its bytes.
            num_threads: Threads for the kernels that can use them.
            kernels: Which kernels run.
            preserve_all_tensors: Keep every intermediate tensor readable through `tensor` after a run. Costs
                memory; without it only inputs, outputs and constants can be read.

        Raises:
            ConversionError: The interpreter refuses the model; the message holds its reason.
        """
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        name = "the model" if isinstance(model, bytes) else f"'{model}'"
        source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        try:
            with warnings.catch_warnings(), _no_announcement():
                warnings.simplefilter("ignore")  # "intended for debugging purposes only": it is
                interpreter = Interpreter(
                    **source,
                    num_threads=num_threads,
                    experimental_op_resolver_type=OpResolverType[_RESOLVERS[kernels]],
                    experimental_preserve_all_tensors=preserve_all_tensors,
                )
                interpreter.allocate_tensors()
            return cls(interpreter, name)
        except (ValueError, RuntimeError, TypeError) as err:
            msg = f"LiteRT cannot load {name}: {_reason(err)}"
            raise ConversionError(msg, remedy=_REMEDY) from err

    def run(self, inputs: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Run the model once.

        Args:
            inputs: One array an input, in the model's order, of exactly its shape and type.

        Returns:
            One array an output, in the model's order. The arrays are copies.

        Raises:
            ConversionError: An input does not fit, or a kernel failed.
        """
        self._check(inputs)
        try:
            for details, array in zip(self.inputs, inputs, strict=True):
                self._interpreter.set_tensor(details.index, array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(details.index) for details in self.outputs]
        except (ValueError, RuntimeError) as err:
            msg = f"LiteRT cannot run {self._name}: {_reason(err)}"
            raise ConversionError(msg, remedy=_REMEDY) from err

    def tensor(self, index: int) -> np.ndarray[Any, Any]:
        """Return a copy of any tensor, by its index in the model, as the last run left it.

        Raises:
            ConversionError: The tensor does not exist or was not kept (see `preserve_all_tensors`).
        """
        try:
            array: np.ndarray[Any, Any] = self._interpreter.get_tensor(index)
        except (ValueError, RuntimeError) as err:
            msg = f"Tensor {index} of {self._name} cannot be read: {_reason(err)}"
            raise ConversionError(
                msg,
                remedy="Open the model with preserve_all_tensors=True and run it before reading its tensors.",
            ) from err
        return array

    def _check(self, inputs: Sequence[np.ndarray[Any, Any]]) -> None:
        found = [(tuple(a.shape), a.dtype) for a in inputs]
        expected = [(d.shape, d.dtype) for d in self.inputs]
        if found != expected:
            msg = f"The inputs do not fit {self._name}: found {_shapes(found)}, expected {_shapes(expected)}."
            raise ConversionError(
                msg,
                remedy="Give one array for each input of the model, of that shape and type.",
            )


def check_runs(path: Path, *, timeout_s: float = 300) -> None:
    """Load a model and run it once on zeros, in a child process, before it is called good.

    The same bytes are run once a process: precisions and steps of a search share candidates.

    Raises:
        ConversionError: It cannot be loaded or run, crashed the interpreter (the message names the
            signal), or did not end in time.
    """
    digest = sha256_of(path)
    if digest in _good:
        return
    run_isolated(
        "edgepack.converters.runtime:run_once",
        {"path": str(path)},
        what=f"Running '{path}' in LiteRT",
        timeout_s=timeout_s,
    )
    _good.add(digest)


def run_once(request: Mapping[str, Any]) -> dict[str, Any]:
    """Load and run the model at `request["path"]` on zeros; what the child of `check_runs` does."""
    from pathlib import Path

    model = LiteRtModel.open(Path(request["path"]))
    outputs = model.run([np.zeros(details.shape, details.dtype) for details in model.inputs])
    return {"outputs": [list(output.shape) for output in outputs]}


def _details(raw: Mapping[str, Any]) -> TensorDetails:
    scales, zero_points = (raw["quantization_parameters"][key] for key in ("scales", "zero_points"))
    quantized = len(scales) > 0
    return TensorDetails(
        name=str(raw["name"]),
        index=int(raw["index"]),
        shape=tuple(int(size) for size in raw["shape"]),
        dtype=np.dtype(raw["dtype"]),
        scale=float(scales[0]) if quantized else None,
        zero_point=int(zero_points[0]) if quantized else None,
    )


def _shapes(values: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in values) or "nothing"


def _reason(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return (lines[0] if lines else type(err).__name__).rstrip(".") + "."


@contextmanager
def _no_announcement() -> Iterator[None]:
    """Keep LiteRT's announcement of its delegate off the terminal, which it has no switch for.

    It writes "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." to the standard error stream the first
    time in a process; so the stream is turned away for the first load only, some milliseconds.
    """
    with _announcement_lock:
        if _announced.is_set():
            yield
            return
        saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)
            _announced.set()
