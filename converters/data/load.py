"""`load_dataset`: from what the user wrote in `[data]` to a checked `Dataset`.

Rules:
    * The registry is a literal table of kinds; a loader is imported when it is used.
    * A loader only reads. Scaling, casting and every check happen here, the same for every source.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from edgepack.converters.artifacts import sha256_of
from edgepack.converters.data import checks, class_folders
from edgepack.converters.data.dataset import Dataset, InputSpec, Preprocessing, RawData, Role
from edgepack.converters.data.hook import is_hook
from edgepack.converters.data.request import MAX_BYTES, Request
from edgepack.converters.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LOADERS: dict[str, str] = {
    "csv": "edgepack.converters.data.csv_table:read",
    "hook": "edgepack.converters.data.hook:read",
    "images": "edgepack.converters.data.images:read",
    "npy": "edgepack.converters.data.npy:read",
    "npz": "edgepack.converters.data.npz:read",
    "wav": "edgepack.converters.data.wav:read",
}
_SUFFIXES = {".csv": "csv", ".npy": "npy", ".npz": "npz"}


def load_dataset(  # noqa: PLR0913 - the keys of [data], one argument each
    source: str,
    *,
    role: Role,
    inputs: tuple[InputSpec, ...],
    folder: Path | None = None,
    labels_file: str | None = None,
    preprocessing: Preprocessing | None = None,
    class_names: tuple[str, ...] = (),
    classes: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Read, preprocess and check a data set.

    Args:
        source: A `.npz`, `.npy` or `.csv` file, a folder of images or wav files, or `module:function`.
        role: What the data is for: "representative" calibrates, "evaluation" measures.
        inputs: What the model takes, in the order of its inputs.
        folder: The project folder, against which paths and hooks are resolved; None for the current one.
        labels_file: A `.npy`, or a text file with one integer a line; replaces labels of the source.
        preprocessing: How raw values become inputs; None for the source's usual way.
        class_names: Names of the classes in label order; they fix the numbering of class folders.
        classes: Number of classes that the model tells apart, to check labels against; taken from
            `class_names` if None.
        max_bytes: Most bytes that the samples may take in memory.

    Raises:
        DataError: The source is missing, unreadable or does not fit the model; the message
            names file and index.
        MissingExtraError: Reading images needs Pillow.
    """
    path = _resolve(source, folder or Path())
    how = preprocessing or Preprocessing()
    request = Request(source, path, role, inputs, how, class_names, max_bytes)
    raw = _loader(request)(request)
    if labels_file is not None:
        raw = replace(raw, labels=_read_labels(labels_file, folder or Path()))
    checks.check_counts(request, raw)
    arrays = tuple(_prepare(request, raw, i) for i in range(len(inputs)))
    names = class_names or raw.class_names
    classes = classes or len(names) or None
    labels = None if raw.labels is None else checks.check_labels(request, raw.labels, classes)
    warnings = checks.warn_samples(request, raw)
    if labels is not None and role == "evaluation":
        warnings += checks.warn_balance(request, labels, names, classes)
    sha256 = _hash(arrays, labels) if is_hook(source) else sha256_of(path)
    return Dataset(arrays, labels, names, path, sha256, tuple(warnings))


def _resolve(source: str, folder: Path) -> Path:
    """Return the path of a source; the project folder for a hook.

    Raises:
        DataError: There is no such file or folder.
    """
    path = folder / source
    if path.exists():
        return path
    if is_hook(source):
        return folder
    msg = f"{source}: no such file or folder in {folder.resolve()}."
    raise DataError(
        msg,
        remedy="Correct the path under [data] in edgepack.toml; paths are relative to that file.",
    )


def _loader(request: Request) -> Callable[[Request], RawData]:
    module, _, name = LOADERS[_kind(request)].partition(":")
    return cast("Callable[[Request], RawData]", getattr(importlib.import_module(module), name))


def _kind(request: Request) -> str:
    """Return which loader reads this source.

    Raises:
        DataError: None does.
    """
    from edgepack.converters.data import images, wav

    if request.path.is_file():
        kind = _SUFFIXES.get(request.path.suffix.lower())
        if kind:
            return kind
        supported = ", ".join(sorted(_SUFFIXES))
        request.refuse(
            f"'{request.path.suffix}' files are not read; {supported}, folders and module:function are.",
            remedy='Write a function that returns the arrays and name it: "module:function".',
        )
    if is_hook(request.source) and not (request.path.name and request.source.endswith(request.path.name)):
        return "hook"
    found = [
        kind
        for kind, suffixes in (("images", images.SUFFIXES), ("wav", wav.SUFFIXES))
        if class_folders.has_suffix(request.path, suffixes)
    ]
    if len(found) != 1:
        what = "both images and wav files" if found else "neither images nor wav files"
        request.refuse(f"the folder holds {what}.", remedy="Name a folder with one kind of file.")
    return found[0]


def _prepare(request: Request, raw: RawData, index: int) -> NDArray[np.generic]:
    """Return input `index` checked, scaled and in the model's type."""
    spec = request.inputs[index]
    array = checks.fit_shape(request, spec, raw.inputs[index])
    checks.check_numeric(request, spec, array)
    checks.check_finite(request, raw, spec, array)
    dtype = np.dtype(spec.dtype)
    if dtype.kind != "f":
        return array.astype(dtype)
    return _scale(request, raw, spec, array).astype(dtype, copy=False)


def _scale(
    request: Request, raw: RawData, spec: InputSpec, array: NDArray[np.generic]
) -> NDArray[np.float32]:
    """Return `(array * scale - mean) / std` in float32, mean and std one value or one a channel."""
    how = request.preprocessing
    values = array.astype(np.float32)
    scale = raw.default_scale if how.scale is None else how.scale
    if scale != 1.0:
        values = values * np.float32(scale)
    if how.mean:
        values = values - _per_channel(request, spec, "mean", how.mean)
    if how.std:
        if 0 in how.std:
            request.refuse("std holds 0.", remedy="Correct std under [data] in edgepack.toml.")
        values = values / _per_channel(request, spec, "std", how.std)
    return values


def _per_channel(
    request: Request, spec: InputSpec, name: str, values: tuple[float, ...]
) -> NDArray[np.float32]:
    """Return one value, or one a channel, shaped so that it broadcasts over `[n, *sample_shape]`."""
    array = np.asarray(values, dtype=np.float32)
    if len(values) == 1:
        return array
    axis = 0 if request.preprocessing.layout == "NCHW" else len(spec.sample_shape) - 1
    channels = spec.sample_shape[axis]
    if len(values) != channels:
        request.refuse(
            f"{name} has {len(values)} values; the input has {channels} channels.",
            remedy=f"Give {name} one value, or one a channel, under [data] in edgepack.toml.",
        )
    shape = [1] * (len(spec.sample_shape) + 1)
    shape[axis + 1] = channels
    return array.reshape(shape)


def _read_labels(labels_file: str, folder: Path) -> NDArray[np.generic]:
    """Return the labels of a `.npy`, or of a text file with one integer a line."""
    path = folder / labels_file
    try:
        if path.suffix == ".npy":
            return cast("NDArray[np.generic]", np.load(path, allow_pickle=False))
        lines = path.read_text(encoding="utf-8").split()
        return np.array([int(line) for line in lines], dtype=np.int64)
    except (OSError, ValueError, EOFError) as err:
        msg = f"{labels_file}: the labels cannot be read ({err})."
        raise DataError(
            msg,
            remedy="Give a .npy of integers, or a text file with one integer a line.",
        ) from err


def _hash(arrays: tuple[NDArray[np.generic], ...], labels: NDArray[np.generic] | None) -> str:
    """Return the SHA-256 of the values themselves."""
    digest = hashlib.sha256()
    for array in (*arrays, *(() if labels is None else (labels,))):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
