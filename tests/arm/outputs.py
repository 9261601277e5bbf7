"""What a board computes for a package's golden inputs, without edgepack's agent, and what the host has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.toolchain.packaging.archive import open_package

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Run = Callable[[Sequence[str]], str]

_RUN = """
import glob, importlib, json, sys
work, package_id, module = sys.argv[1:]
sys.path.insert(0, glob.glob(f"{work}/runtimes/*/site")[0])
import numpy as np
folder = f"{work}/store/{package_id}"
manifest = json.load(open(f"{folder}/manifest.json"))
runtime = importlib.import_module(module)
interpreter = runtime.Interpreter(model_path=f"{folder}/{manifest['model']}", num_threads=1)
interpreter.allocate_tensors()
spec, source = manifest["inputs"][0], interpreter.get_input_details()[0]["index"]
sink, outputs = interpreter.get_output_details()[0]["index"], []
for case in manifest["golden"]:
    data = np.fromfile(f"{folder}/{case['inputs'][0]}", spec["dtype"]).reshape(spec["shape"])
    interpreter.set_tensor(source, data)
    interpreter.invoke()
    outputs.append(interpreter.get_tensor(sink).ravel().tolist())
print(json.dumps(outputs))
"""


def device_outputs(
    run: Run, package_id: str, *, module: str = "ai_edge_litert.interpreter"
) -> np.ndarray[Any, Any]:
    """Return the outputs [case, value] of the package that lies on a board, by the provisioned runtime.

    Args:
        run: Runs a program on the board and returns what it prints.
        package_id: The package.
        module: The runtime's Python module.
    """
    argv = ["python3", "-I", "-c", _RUN, "/root/.edgepack", package_id, module]
    return np.array(json.loads(run(argv)), np.float64)


def golden_outputs(path: Path) -> tuple[np.ndarray[Any, Any], float]:
    """Return the host's outputs [case, value] for the golden inputs, and how far a device may be off."""
    with open_package(path) as package:
        manifest = package.manifest
        data = [b"".join(package.open(case.outputs[0])) for case in manifest.golden]
    outputs = np.stack([np.frombuffer(each, manifest.outputs[0].dtype) for each in data])
    return outputs.astype(np.float64), manifest.golden_tolerance.max_error


def within_tolerance(golden: dict[str, Any]) -> bool:
    """Return whether the agent ran every golden case and found it near enough."""
    return (
        golden["cases"] == 8
        and golden["max_error"] <= golden["tolerance"]
        and golden["top1_agreement"] == 1.0
    )
