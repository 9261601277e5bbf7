"""The values of this folder: what a model takes, what a loader read, and the checked data set.

Rules:
    * A data set is one array an input, samples first: `[n, *sample_shape]`.
    * Loaders return `RawData`: what the file says, unscaled and unchecked. `load.py` does the rest.
    * Nothing here reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Role = Literal["representative", "evaluation"]


@dataclass(frozen=True)
class InputSpec:
    """What a model takes at one of its inputs.

    Attributes:
        name: The input tensor's name.
        shape: The shape as the model states it, batch first: (1, 32, 32, 3).
        dtype: NumPy name of the float model's type, such as "float32" or "int32" (token ids).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample: the shape without its batch."""
        return self.shape[1:]


@dataclass(frozen=True)
class Preprocessing:
    """How raw values become the model's input: `(raw * scale - mean) / std`, in float32.

    Attributes:
        scale: Factor on the raw values; None for the source's own: 1/255 for image files, 1 elsewhere.
        mean: One value, or one a channel; subtracted after scaling.
        std: One value, or one a channel; divides last. Never 0.
        layout: "NHWC" or "NCHW": where the model's image inputs carry their channels.
        sample_rate_hz: What wav files must be sampled at; None takes any rate, as long as all agree.
    """

    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    sample_rate_hz: int | None = None


@dataclass(frozen=True)
class RawData:
    """What a loader read, before preprocessing and checks.

    Attributes:
        inputs: One array an input, `[n, ...]`, in the type of the source.
        labels: `[n]` or `[n, ...]`; None where the source holds none.
        class_names: Names of the classes in label order; empty where the source names none.
        default_scale: The scale that this kind of source is usually fed with.
        origins: What to call each sample in messages, such as an image's path; empty to call it by index.
    """

    inputs: tuple[NDArray[np.generic], ...]
    labels: NDArray[np.generic] | None = None
    class_names: tuple[str, ...] = ()
    default_scale: float = 1.0
    origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Samples that fit the model, checked.

    Attributes:
        inputs: One array an input, `[n, *sample_shape]`, in the float model's type.
        labels: int64 `[n]` class labels, float32 targets `[n, ...]`, or None where there are none.
        class_names: Names of the classes in label order; empty where nobody named them.
        path: The file or folder it came from; for a hook, the project folder.
        sha256: Hash of the source; for a hook, hash of the arrays that it gave.
        warnings: What looks wrong but can be used: few samples, classes out of balance, constant input.
    """

    inputs: tuple[NDArray[np.generic], ...]
    labels: NDArray[np.generic] | None
    class_names: tuple[str, ...]
    path: Path
    sha256: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.inputs[0])

    def sample(self, index: int) -> tuple[NDArray[np.generic], ...]:
        """Return sample `index` with a batch of 1: one array `[1, *sample_shape]` an input."""
        return tuple(array[index : index + 1] for array in self.inputs)

    def head(self, count: int) -> Dataset:
        """Return the first `count` samples as a data set (all of them where there are fewer)."""
        return Dataset(
            inputs=tuple(array[:count] for array in self.inputs),
            labels=None if self.labels is None else self.labels[:count],
            class_names=self.class_names,
            path=self.path,
            sha256=self.sha256,
            warnings=self.warnings,
        )
