"""Small real models for profiles: chains of FULLY_CONNECTED whose cost is known from their shapes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).parents[2].parent / "shared/models"


def chain_model(rows: int, widths: list[int]) -> bytes:
    """FULLY_CONNECTED one after the other, then SOFTMAX; float32 [rows, widths[0]] -> [rows, widths[-1]]."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    rng = np.random.default_rng(1)
    tensors: list[Any] = []
    buffers: list[Any] = [schema.BufferT()]

    def tensor(name: str, shape: list[int], data: np.ndarray | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name, shape, schema.TensorType.FLOAT32
        if data is not None:
            made.buffer = len(buffers)
            buffers.append(schema.BufferT())
            buffers[-1].data = np.frombuffer(data.astype("<f4").tobytes(), np.uint8)
        tensors.append(made)
        return len(tensors) - 1

    def operator(code: int, inputs: list[int], outputs: list[int], kind: int, options: Any) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
        made.builtinOptionsType, made.builtinOptions = kind, options
        return made

    last = first = tensor("x", [rows, widths[0]])
    operators = []
    for number, (depth, width) in enumerate(itertools.pairwise(widths)):
        weights = tensor(f"w{number}", [width, depth], rng.normal(size=(width, depth)) / depth**0.5)
        result = tensor(f"y{number}", [rows, width])
        kind, options = schema.BuiltinOptions.FullyConnectedOptions, schema.FullyConnectedOptionsT()
        operators.append(operator(0, [last, weights, -1], [result], kind, options))
        last = result
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    result = tensor("y", [rows, widths[-1]])
    operators.append(operator(1, [last], [result], schema.BuiltinOptions.SoftmaxOptions, softmax))
    codes = []
    for builtin in (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.SOFTMAX):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 1
        codes.append(code)
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [first], [result], operators
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, codes, [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def chain_files(rows: int, widths: list[int]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """A package's files and the keys of its manifest for a chain model, with three golden cases."""
    from tests.device_agent.conftest import run_model

    model = chain_model(rows, widths)
    cases = np.random.default_rng(2).normal(size=(3, rows, widths[0])).astype("<f4")
    files = {"model.tflite": model, "labels.txt": b"a\n", "eval/x.bin": b"", "eval/labels.bin": b""}
    for index, (x, y) in enumerate(zip(cases, run_model(model, cases), strict=True)):
        files[f"golden/{index}.in.bin"] = x.tobytes()
        files[f"golden/{index}.out.bin"] = y.astype("<f4").tobytes()

    def spec(name: str, width: int) -> list[dict[str, Any]]:
        shape = [rows, width]
        about = {"dtype": "float32", "layout": "NC", "scale": None, "zero_point": None}
        return [{"name": name, "shape": shape, **about}]

    changes = {"inputs": spec("x", widths[0]), "outputs": spec("y", widths[-1]), "evaluation": None}
    return files, changes
