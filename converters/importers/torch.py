"""Import a PyTorch model with litert-torch: an exported program (`.pt2`), or `module:function`.

Rules:
    * A `.pt2` is data. PyTorch itself falls back to full pickles inside it; that is switched off here, so a
      file can define no code to run. `.pt` and `.pth` are refused (`source.py`).
    * `module:function` is code of the user's own, found from the current folder as with `python -m`. It takes
      nothing and returns `(model, example_inputs)`, a `torch.nn.Module` and a tuple of tensors.
    * 4-D inputs and outputs move from NCHW to NHWC unless the layout is "as-is".
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.errors import ConversionError, MissingExtraError
from edgepack.converters.importers.agreement import check_agreement
from edgepack.converters.importers.fixed_shape import fixed_shape
from edgepack.converters.importers.job import CONVERSION_TIMEOUT_S, versions_of
from edgepack.converters.importers.source import is_function
from edgepack.converters.isolation import run_isolated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgepack.converters.importers.job import ImportedTools, ImportJob

_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
_NO_PICKLES = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}  # torch.export.load asks for weights_only=False (2.13)


def import_torch(job: ImportJob) -> ImportedTools:
    """Convert a `.pt2` file, or the model that `module:function` returns.

    Raises:
        MissingExtraError: PyTorch or litert-torch is not installed.
        ConversionError: The source is broken, or cannot be converted.
    """
    if any(importlib.util.find_spec(module) is None for module in ("torch", "litert_torch")):
        what = "Importing a PyTorch model"
        raise MissingExtraError(what, extra="torch")
    run_isolated(
        "edgepack.converters.importers.torch:convert_in_this_process",
        {"source": job.source, "output": str(job.output), "batch": job.batch, "layout": job.layout},
        what=f"Converting '{job.source}'",
        timeout_s=CONVERSION_TIMEOUT_S,
        environment=_ENVIRONMENT if is_function(job.source) else {**_ENVIRONMENT, **_NO_PICKLES},
    )
    return versions_of("edgepack", "torch", "litert-torch", "litert-converter")


def module_file(source: str) -> Path:
    """Return the file that the module of `module:function` stands in, without running it.

    Raises:
        ConversionError: There is no such module.
    """
    module = source.partition(":")[0]
    path = Path(*module.split("."))
    for folder in [Path.cwd(), *(Path(entry) for entry in sys.path)]:
        for candidate in (folder / path.with_suffix(".py"), folder / path / "__init__.py"):
            if candidate.is_file():
                return candidate
    msg = f"There is no Python module '{module}' in '{Path.cwd()}' or among the installed packages."
    raise ConversionError(msg, remedy="Run edgepack in the folder that holds the module, or set PYTHONPATH.")


def convert_in_this_process(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `request["source"]`. Imports PyTorch; runs in the child."""
    import litert_torch
    import torch

    source, output = request["source"], Path(request["output"])
    load = _call if is_function(source) else _load
    model, inputs = load(source, request["batch"])
    with torch.no_grad():
        outputs = _flat(model(*inputs))
        wrapped, arguments = model, inputs
        moved_in = _moved(inputs) if request["layout"] == "nhwc" else []
        moved_out = _moved(outputs) if request["layout"] == "nhwc" else []
        if moved_in or moved_out:
            wrapped = litert_torch.to_channel_last_io(model, args=moved_in, outputs=moved_out)
            arguments = tuple(x.permute(0, 2, 3, 1) if i in moved_in else x for i, x in enumerate(inputs))
        litert_torch.convert(wrapped, arguments).export(str(output))

        def original(arrays: list[Any]) -> list[Any]:
            return [tensor.numpy() for tensor in _flat(wrapped(*map(torch.from_numpy, arrays)))]

        check_agreement(source, output, original)
    return {}


def _load(source: str, batch: int) -> tuple[Any, tuple[Any, ...]]:
    """Return the module of an exported program, and inputs of the batch that was asked for."""
    import torch

    try:
        program = torch.export.load(source)
    except Exception as err:
        reason = " ".join(str(err).split())[:200]
        msg = f"PyTorch cannot load '{source}': {type(err).__name__}: {reason}"
        raise ConversionError(
            msg,
            remedy="Export it again with torch.export.save; it may hold tensors only, no pickles.",
        ) from err
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    shapes = {name: _sizes(values[name].shape) for name in program.graph_signature.user_inputs}
    inputs = tuple(
        torch.zeros(fixed_shape(source, name, shape, batch), dtype=values[name].dtype)
        for name, shape in shapes.items()
    )
    return program.module(), inputs


def _call(source: str, batch: int) -> tuple[Any, tuple[Any, ...]]:
    """Return the user's model in evaluation mode, and its example inputs at the batch asked for."""
    import torch

    module, _, function = source.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    made = getattr(importlib.import_module(module), function, None)
    returned = made() if callable(made) else None
    model, inputs = returned if isinstance(returned, tuple) and len(returned) == 2 else (None, None)
    tensors = isinstance(inputs, (tuple, list)) and all(isinstance(x, torch.Tensor) for x in inputs)
    if not isinstance(model, torch.nn.Module) or not tensors or not inputs:
        found = (
            f"there is no function '{function}'" if made is None else f"it returned {type(returned).__name__}"
        )
        msg = f"'{source}' does not give a PyTorch model: {found}."
        raise ConversionError(
            msg, remedy="Return (model, example_inputs): an nn.Module and a tuple of tensors."
        )
    same = (x[:1].expand(batch, *x.shape[1:]).contiguous() if x.dim() else x for x in inputs)
    return model.eval(), tuple(same)


def _sizes(shape: Sequence[Any]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]


def _flat(outputs: Any) -> list[Any]:  # noqa: ANN401 - tensors in any nesting
    from torch.utils import _pytree

    leaves: list[Any] = _pytree.tree_leaves(outputs)
    return leaves


def _moved(tensors: Sequence[Any]) -> list[int]:
    """Return the indices of the 4-D tensors, whose channels are moved last."""
    return [index for index, tensor in enumerate(tensors) if tensor.dim() == 4]
