"""`.npz`: one array an input, and the labels as `y`.

Names are looked for in this order. Inputs: the input tensor's name; for a model with one input also `x`,
`x_train` or `x_test` by role, and a file's only array. Labels: `y`, `labels`, `label`, `targets`, and
`y_train` or `y_test` by role.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

import numpy as np

from edgepack.converters.data.dataset import RawData
from edgepack.targets.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from edgepack.converters.data.request import Request

_LABELS = ("y", "labels", "label", "targets")
_SPLIT = {"representative": "train", "evaluation": "test"}


def read(request: Request) -> RawData:
    """Read the arrays that the model's inputs and the labels need; other members are left alone.

    Raises:
        DataError: The file is damaged, too large, holds Python objects, or lacks an array.
    """
    try:
        with zipfile.ZipFile(request.path) as archive:
            members = {
                name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")
            }
            keys = _input_keys(request, members)
            label_key = _label_key(request, members, keys)
            wanted = [*keys, *([label_key] if label_key else [])]
            arrays = _load(request, archive, [(key, members[key]) for key in wanted])
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as err:
        request.refuse(f"this is no readable .npz ({err}).", cause=err)
    labels = arrays[label_key] if label_key else None
    return RawData(inputs=tuple(arrays[key] for key in keys), labels=labels)


def _input_keys(request: Request, members: Iterable[str]) -> list[str]:
    """Return the member that feeds each input, in the order of the inputs."""
    found = list(members)
    if len(request.inputs) == 1:
        data = [name for name in found if name not in _LABELS and not name.startswith("y_")]
        for name in (request.inputs[0].name, "x", f"x_{_SPLIT[request.role]}"):
            if name in data:
                return [name]
        if len(data) == 1:
            return data
    for spec in request.inputs:
        if spec.name not in found:
            request.refuse(
                f"no array for input '{spec.name}'; found {', '.join(sorted(found)) or 'none'}."
                + nearest(spec.name, found),
                remedy="Save it with numpy.savez(file, x=..., y=...), or name each array as its input.",
            )
    return [spec.name for spec in request.inputs]


def _label_key(request: Request, members: Iterable[str], taken: list[str]) -> str | None:
    """Return the member that holds the labels, or None."""
    candidates = (*_LABELS, f"y_{_SPLIT[request.role]}")
    return next((name for name in candidates if name in members and name not in taken), None)


def _load(
    request: Request, archive: zipfile.ZipFile, wanted: list[tuple[str, str]]
) -> dict[str, NDArray[np.generic]]:
    """Read the wanted members, each bounded by its own header before memory is taken."""
    arrays = {}
    total_bytes = 0
    for key, member in wanted:
        with archive.open(member) as file:
            total_bytes += _header_bytes(request, key, file)
        request.check_size(total_bytes, "the arrays")
        with archive.open(member) as file:
            try:
                arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
            except ValueError as err:
                request.refuse(f"array '{key}' cannot be read ({err}).", cause=err)
    return arrays


def _header_bytes(request: Request, key: str, file: IO[bytes]) -> int:
    """Return the bytes that an array takes, from its header alone."""
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError as err:
        request.refuse(f"array '{key}' has a damaged header ({err}).", cause=err)
    if dtype.hasobject:
        request.refuse(
            f"array '{key}' holds Python objects, which are never loaded: they can run code.",
            remedy="Save plain numeric arrays of one shape: numpy.savez(file, x=numpy.stack(samples)).",
        )
    return math.prod(shape) * dtype.itemsize
