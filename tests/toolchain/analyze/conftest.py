"""Graphs written by hand: analysis reads plain values, so no file is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.graph import DTYPE_BITS, Graph, Operator, QuantParams, Subgraph, Tensor
from edgepack.converters.tflite.reader import read_graph

SHARED_MODELS = Path(__file__).parents[3].parent / "shared" / "models"


class Draft:
    """A graph in the making: `add` tensors, then `op`s in order."""

    def __init__(self, index=0):
        self.index, self.tensors, self.operators = index, [], []

    def add(self, shape, dtype="float32", constant=False, buffer=None, variable=False, quantized=False):
        index = len(self.tensors)
        stored = None
        if constant:
            count = int(np.prod(shape, dtype=np.int64))
            stored = np.zeros(-(-count * DTYPE_BITS[dtype] // 8), np.uint8)
        quantization = QuantParams(np.ones(1, np.float32), np.zeros(1, np.int64)) if quantized else None
        self.tensors.append(
            Tensor(
                index, f"t{index}", tuple(shape), tuple(shape), dtype, quantization=quantization,
                is_variable=variable, buffer=index + 1 if buffer is None else buffer, stored=stored,
            )
        )  # fmt: skip
        return index

    def op(self, name, inputs, outputs, **options):
        custom = options.pop("custom_code", None)
        at = len(self.operators)
        self.operators.append(Operator(at, name, tuple(inputs), tuple(outputs), options, custom_code=custom))
        return self

    def graph(self, inputs, outputs, *others, size_bytes=1000):
        main = self.subgraph(inputs, outputs)
        return Graph("draft", size_bytes, "", (main, *others), ())

    def subgraph(self, inputs=(), outputs=()):
        operators, tensors = tuple(self.operators), tuple(self.tensors)
        return Subgraph(self.index, "", tensors, operators, tuple(inputs), tuple(outputs))


@pytest.fixture
def draft():
    return Draft()


@pytest.fixture(scope="session")
def new_draft():
    return Draft


@pytest.fixture(scope="session")
def shared_graph():
    """Return the graph of a published model, or skip."""

    def read(name):
        path = SHARED_MODELS / name
        if not path.is_file():
            pytest.skip(f"{name}: the folder with the MLPerf Tiny models is not here")
        return read_graph(path)

    return read
