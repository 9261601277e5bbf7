"""TFLite Micro, where its package is installed: what generated code must agree with, to the byte.

It runs in a process of its own, for an arena that is too small can crash it.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARENA_BYTES = 16 << 20
_TIMEOUT_S = 300
_PROGRAM = """
import sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
model, given, wanted, arena = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
inputs, outputs = (int(number) for number in wanted.split(","))
data = open(given, "rb").read()
position = 0
while position < len(data):
    interpreter = runtime.Interpreter.from_file(model, arena_size=arena)
    for index in range(inputs):
        details = interpreter.get_input_details(index)
        size = int(np.prod(details["shape"])) * np.dtype(details["dtype"]).itemsize
        array = np.frombuffer(data[position : position + size], details["dtype"]).reshape(details["shape"])
        interpreter.set_input(array, index)
        position += size
    interpreter.invoke()
    for index in range(outputs):
        sys.stdout.buffer.write(np.ascontiguousarray(interpreter.get_output(index)).tobytes())
"""


def version() -> str | None:
    """Return the version of the installed TFLite Micro; None where there is none."""
    try:
        return importlib.metadata.version("tflite-micro")
    except importlib.metadata.PackageNotFoundError:
        return None


def run(model: Path, inputs: Sequence[tuple[bytes, ...]]) -> list[tuple[bytes, ...]]:
    """Return the outputs of inferences, each on an interpreter of its own.

    Args:
        model: The `.tflite`.
        inputs: For each inference the bytes of every input.

    Raises:
        ConversionError: TFLite Micro cannot run the model.
    """
    from edgepack.converters.tflite.reader import read_graph

    outputs = read_graph(model).outputs
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        given = Path(folder) / "inputs.bin"
        given.write_bytes(b"".join(part for each in inputs for part in each))
        counts = f"{len(inputs[0])},{len(outputs)}"
        command = [sys.executable, "-c", _PROGRAM, str(model), str(given), counts, str(_ARENA_BYTES)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S)
    sizes = [tensor.size_bytes or 0 for tensor in outputs]
    if done.returncode or len(done.stdout) != sum(sizes) * len(inputs):
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        shown = "".join(c for c in (lines[-1] if lines else f"code {done.returncode}") if c.isprintable())[
            :300
        ]
        message = f"TFLite Micro cannot run the model: {shown}."
        raise ConversionError(message, remedy="Uninstall tflite-micro to build without this check.")
    stream, found = done.stdout, []
    for _ in inputs:
        parts = []
        for size in sizes:
            parts.append(stream[:size])
            stream = stream[size:]
        found.append(tuple(parts))
    return found
