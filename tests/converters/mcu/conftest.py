"""Two ways to run a model: generated C, built for this machine with the sanitizers, and TFLite Micro."""

from __future__ import annotations

import ctypes
import hashlib
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

from edgepack.converters.mcu.compile import GeneratedCode, compile_model
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Batch: TypeAlias = NDArray[Any] | list[NDArray[Any]]

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
CHECKED = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-ffp-contract=off")
# A too small arena can crash TFLite Micro's interpreter, so it has a process of its own. It answers one line
# of JSON for each that it reads: folder of in_<i>.npy to the number of outputs or the error.
_TFLM = """
import json, os, sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    folder, inputs, outputs = json.loads(line)
    try:
        interpreter = runtime.Interpreter.from_file(folder + "/model.tflite", arena_size=4 << 20)
        batches = [np.load(f"{folder}/in_{i}.npy") for i in range(inputs)]
        results = [[] for _ in range(outputs)]
        for samples in zip(*batches):
            for i, sample in enumerate(samples):
                interpreter.set_input(sample, i)
            interpreter.invoke()
            for i, found in enumerate(results):
                found.append(interpreter.get_output(i).copy())
        for i, found in enumerate(results):
            np.save(f"{folder}/out_{i}.npy", np.stack(found))
        answer = ""
    except Exception as err:
        answer = repr(err) or "error"
    print(json.dumps(answer), file=answers, flush=True)
"""


class TfliteMicro:
    """Runs models in a child process, which is started anew where a model killed it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "tflm.log").open("w+", encoding="utf-8", errors="replace")
        self._child: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._end()
        self._log.close()

    def __call__(self, model: bytes, batch: Batch) -> Batch:
        """Run a model on a batch: [n, *input] to [n, *output], a list of them to a list of them.

        Raises:
            AssertionError: TFLite Micro refused the model, or crashed; with its words.
        """
        batches = batch if isinstance(batch, list) else [batch]
        outputs = count_outputs(model)
        (self._folder / "model.tflite").write_bytes(model)
        for i, samples in enumerate(batches):
            np.save(self._folder / f"in_{i}.npy", samples)
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", _TFLM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
            )
        assert self._child.stdin
        assert self._child.stdout
        begin = self._log.seek(0, 2)
        self._child.stdin.write(json.dumps([str(self._folder), len(batches), outputs]) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            pytest.fail(f"TFLite Micro ended with {self._end()}: {self._words(begin)}")
        answer = json.loads(line)
        assert not answer, f"{answer}: {self._words(begin)}"
        results = [np.load(self._folder / f"out_{i}.npy") for i in range(outputs)]
        return results if isinstance(batch, list) else results[0]

    def _end(self) -> int:
        """Wait for the child to end; return its exit status."""
        child, self._child = self._child, None
        assert child
        child.communicate()
        return child.returncode

    def _words(self, begin: int) -> str:
        self._log.seek(begin)
        return self._log.read()[-2000:]


def count_outputs(model: bytes) -> int:
    """Return the number of outputs of a model."""
    return len(read_graph(model).outputs)


class HostBuild:
    """Builds generated C for this machine; the object of a kernel is built once and used again."""

    def __init__(self, folder: Path, gcc: str) -> None:
        self._folder = folder
        self._gcc = gcc
        self._objects: dict[str, Path] = {}
        self._count = 0

    def __call__(self, code: GeneratedCode) -> ctypes.CDLL:
        """Return the library of a model, built without a warning and trapped at undefined behaviour."""
        self._count += 1
        work = self._folder / f"build_{self._count}"
        work.mkdir()
        for path, text in code.files.items():
            (work / path).write_text(text)
        headers = "".join(
            code.files[name]
            for name in sorted(code.files)
            if name.startswith("ep_") and name.endswith(".h") and name != "ep_symbols.h"
        )
        objects = []
        for path in sorted(code.files):
            if path.endswith(".c"):
                own = not path.startswith("ep_")
                key = path if own else hashlib.sha256((headers + code.files[path]).encode()).hexdigest()
                if own or key not in self._objects:
                    self._objects[key] = work / f"{path}.o"
                    self._run(
                        "-O1",
                        *WARNINGS,
                        *CHECKED,
                        "-fPIC",
                        "-c",
                        str(work / path),
                        "-o",
                        str(self._objects[key]),
                    )
                objects.append(str(self._objects[key]))
        library = work / "model.so"
        self._run("-shared", *CHECKED, "-o", str(library), *objects, "-lm")
        return ctypes.CDLL(str(library))

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([self._gcc, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="session")
def run_tflm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TfliteMicro]:
    """Run a model in TFLite Micro: [n, *input] to [n, *output], or a list of inputs to a list of outputs."""
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux on x86-64 only")
    runner = TfliteMicro(tmp_path_factory.mktemp("tflm"))
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def build_c(tmp_path_factory: pytest.TempPathFactory) -> HostBuild:
    """Build generated C for this machine."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    return HostBuild(tmp_path_factory.mktemp("kernels"), gcc)


@pytest.fixture(scope="session")
def run_c(build_c: HostBuild) -> RunC:
    """Run the C generated from a model, as `run_tflm` does."""
    return RunC(build_c)


class RunC:
    """Runs generated C on batches."""

    def __init__(self, build: HostBuild) -> None:
        self._build = build

    def __call__(self, model: bytes, batch: Batch) -> Batch:
        """Run a model on a batch: [n, *input] to [n, *output], a list of them to a list of them."""
        code = compile_model(model, name="model")
        library = self._build(code)
        arena = np.zeros(code.plan.arena_bytes // 4 + 1, np.int32)

        def span(value: int) -> NDArray[Any]:
            begin, spec = code.plan.offsets[value], code.program.values[value]
            return arena.view(np.uint8)[begin : begin + spec.size_bytes].view(spec.dtype).reshape(spec.shape)

        batches = batch if isinstance(batch, list) else [batch]
        results: list[list[NDArray[Any]]] = [[] for _ in code.program.outputs]
        kept = np.zeros(arena.nbytes, bool)
        for value in code.program.state:
            begin = code.plan.offsets[value]
            kept[begin : begin + code.program.values[value].size_bytes] = True
        place = arena.ctypes.data_as(ctypes.c_void_p)
        arena[:] = -0x5A5A5A5B
        if code.program.state:
            library.model_init(place)
        for samples in zip(*batches, strict=True):
            arena.view(np.uint8)[~kept] = 0xA5  # what lay there before must not matter, but for the state
            for value, sample in zip(code.program.inputs, samples, strict=True):
                span(value)[...] = sample
            library.model_invoke(place)
            for found, value in zip(results, code.program.outputs, strict=True):
                found.append(span(value).copy())
        outputs = [np.stack(found) for found in results]
        return outputs if isinstance(batch, list) else outputs[0]
