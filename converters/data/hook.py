"""`module:function`: Python of the user's own, found in the project folder.

The function takes no argument, or the role ("representative" or "evaluation"), and returns one of:
    * an array `[n, ...]`,
    * a tuple of the samples and their labels,
    * a mapping of input name to array, with the labels as "y",
    * an iterator of samples, as `representative_dataset` of TensorFlow Lite gives them: each an array, or a
      list with one array an input, of batch 1.

The user's code runs in this process with the user's rights: it is their own project.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.data.dataset import RawData
from edgepack.converters.errors import DataError
from edgepack.targets.errors import nearest

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from edgepack.converters.data.request import Request

_PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_hook(source: str) -> bool:
    """Return whether `source` is spelt `module:function`."""
    return _PATTERN.fullmatch(source) is not None


def load_function(source: str, folder: Path) -> Callable[..., Any]:
    """Return the function that `module:function` names, looked for in `folder` first.

    Raises:
        DataError: The module cannot be imported, or has no such function.
    """
    module_name, _, name = source.partition(":")
    sys.path.insert(0, str(folder))
    try:
        module = _import(module_name, folder)
    except Exception as err:
        msg = f"{source}: importing '{module_name}' failed: {type(err).__name__}: {err}"
        raise DataError(
            msg,
            remedy=f"Make 'python -c \"import {module_name}\"' work in {folder}.",
        ) from err
    finally:
        sys.path.remove(str(folder))
    function = getattr(module, name, None)
    if not callable(function):
        msg = f"{source}: module '{module_name}' has no function '{name}'." + nearest(name, dir(module))
        raise DataError(msg, remedy=f"Define it: def {name}(): ...")
    return function  # type: ignore[no-any-return]


def read(request: Request) -> RawData:
    """Call the hook and return what it gave.

    Raises:
        DataError: It cannot be imported, raised, or returned something else.
    """
    function = load_function(request.source, request.path)
    try:
        takes_role = bool(inspect.signature(function).parameters)
        value = function(request.role) if takes_role else function()
        return _to_raw(request, value)
    except DataError:
        raise
    except Exception as err:
        request.refuse(
            f"the function raised {type(err).__name__}: {err}",
            remedy="Correct the function; 'edgepack --traceback ...' shows where it failed.",
            cause=err,
        )


def _import(module_name: str, folder: Path) -> ModuleType:
    """Import from the project folder even where another module of that name was imported before."""
    file = folder.joinpath(*module_name.split(".")).with_suffix(".py")
    if not file.is_file():
        return importlib.import_module(module_name)
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        msg = f"no loader for {file}"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _to_raw(request: Request, value: object) -> RawData:
    if isinstance(value, Mapping):
        missing = [spec.name for spec in request.inputs if spec.name not in value]
        if missing:
            found = ", ".join(map(str, value))
            request.refuse(f"the function gave no array for input '{missing[0]}'; it gave {found}.")
        labels = value.get("y")
        arrays = tuple(np.asarray(value[spec.name]) for spec in request.inputs)
        return RawData(inputs=arrays, labels=None if labels is None else np.asarray(labels))
    if isinstance(value, tuple) and len(value) == 2:
        samples, labels = value
        return RawData(inputs=_arrays(samples), labels=None if labels is None else np.asarray(labels))
    if isinstance(value, Iterator):
        return RawData(inputs=_stack(request, value))
    return RawData(inputs=_arrays(value))


def _arrays(value: object) -> tuple[NDArray[np.generic], ...]:
    if isinstance(value, tuple):
        return tuple(np.asarray(array) for array in value)
    return (np.asarray(value),)


def _stack(request: Request, samples: Iterator[Any]) -> tuple[NDArray[np.generic], ...]:
    """Return samples of batch 1 as one array an input, stopping at the limit on memory."""
    columns: list[list[NDArray[np.generic]]] = [[] for _ in request.inputs]
    size_bytes = 0
    for sample in samples:
        parts = sample if isinstance(sample, (list, tuple)) else [sample]
        if len(parts) != len(columns):
            request.refuse(f"a sample has {len(parts)} arrays; the model takes {len(columns)}.")
        for column, part in zip(columns, parts, strict=True):
            column.append(np.asarray(part))
            size_bytes += column[-1].nbytes
        request.check_size(size_bytes, "the samples")
    if not columns[0]:
        request.refuse("the function gave no sample.")
    return tuple(np.concatenate(column) for column in columns)
