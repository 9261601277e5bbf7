"""Two ways to run a model: generated C, built for this machine with the sanitizers, and TFLite Micro."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepack.converters.mcu.compile import compile_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Run = Callable[[bytes, list[NDArray[np.generic]]], list[NDArray[np.generic]]]

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
# A too small arena can crash TFLite Micro's interpreter, so it has a process of its own.
_TFLM = """
import sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_bytes(open(sys.argv[1], "rb").read(), arena_size=4 << 20)
batch = np.load(sys.argv[2])
outputs = []
for sample in batch:
    interpreter.set_input(sample, 0)
    interpreter.invoke()
    outputs.append(interpreter.get_output(0).copy())
np.save(sys.argv[3], np.stack(outputs))
"""


@pytest.fixture
def run_tflm(tmp_path: Path) -> Callable[[bytes, NDArray[np.generic]], NDArray[np.generic]]:
    """Run a model with one input and one output in TFLite Micro: [n, *input] to [n, *output]."""
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux on x86-64 only")

    def run(model: bytes, batch: NDArray[np.generic]) -> NDArray[np.generic]:
        (tmp_path / "model.tflite").write_bytes(model)
        np.save(tmp_path / "in.npy", batch)
        files = [str(tmp_path / name) for name in ("model.tflite", "in.npy", "out.npy")]
        done = subprocess.run(
            [sys.executable, "-c", _TFLM, *files], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        outputs: NDArray[np.generic] = np.load(tmp_path / "out.npy")
        return outputs

    return run


@pytest.fixture
def run_c(tmp_path: Path) -> Callable[[bytes, NDArray[np.generic]], NDArray[np.generic]]:
    """Run the C generated from a model with one input and one output: [n, *input] to [n, *output].

    It is built without a warning, and trapped where it does what C does not define.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")

    def run(model: bytes, batch: NDArray[np.generic]) -> NDArray[np.generic]:
        code = compile_model(model, name="model")
        for path, text in code.files.items():
            (tmp_path / path).write_text(text)
        sources = [str(tmp_path / path) for path in code.files if path.endswith(".c")]
        library = tmp_path / "model.so"
        checked = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
        command = [gcc, *WARNINGS, *checked, "-O1", "-shared", "-fPIC", "-o", str(library), *sources]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        invoke = ctypes.CDLL(str(library)).model_invoke
        arena = np.zeros(code.plan.arena_bytes // 4, np.int32)
        (source,), (output,) = code.program.inputs, code.program.outputs

        def span(value: int) -> NDArray[np.generic]:
            begin, spec = code.plan.offsets[value], code.program.values[value]
            return arena.view(np.uint8)[begin : begin + spec.size_bytes].view(spec.dtype).reshape(spec.shape)

        results = []
        for sample in batch:
            arena[:] = -0x5A5A5A5B  # what lay there before must not matter
            span(source)[...] = sample
            invoke(arena.ctypes.data_as(ctypes.c_void_p))
            results.append(span(output).copy())
        return np.stack(results)

    return run
