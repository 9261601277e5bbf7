"""Makes tiny `.tflite` files by the schema's object API, sound or (through `tweak`) not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

SHARED_MODELS = Path(__file__).parents[3].parent / "shared" / "models"


@dataclass
class T:
    """A tensor to put into a model."""

    name: str
    shape: tuple[int, ...]
    data: Any = None
    dtype: str = "FLOAT32"
    scale: Any = None
    zero_point: Any = None
    dimension: int = 0
    signature: tuple[int, ...] | None = None
    variable: bool = False


@dataclass
class Op:
    """An operator to put into a model."""

    code: str
    inputs: list[int]
    outputs: list[int]
    options: Any = None
    options_type: str = "NONE"


def _tensor(spec, buffers):
    buffer = 0
    if spec.data is not None:
        buffers.append(schema.BufferT(data=np.frombuffer(np.asarray(spec.data).tobytes(), np.uint8)))
        buffer = len(buffers) - 1
    quantization = None
    if spec.scale is not None:
        zero_point = spec.zero_point if spec.zero_point is not None else np.zeros(len(spec.scale))
        quantization = schema.QuantizationParametersT(
            scale=np.array(spec.scale, np.float32),
            zeroPoint=np.array(zero_point, np.int64),
            quantizedDimension=spec.dimension,
        )
    return schema.TensorT(
        shape=np.array(spec.shape, np.int32),
        shapeSignature=None if spec.signature is None else np.array(spec.signature, np.int32),
        type=getattr(schema.TensorType, spec.dtype),
        buffer=buffer,
        name=spec.name,
        quantization=quantization,
        isVariable=spec.variable,
    )


def tree_of(tensors, operators, inputs, outputs):
    """Return a model as the schema's object tree."""
    buffers = [schema.BufferT()]
    codes = sorted({op.code for op in operators})
    return schema.ModelT(
        version=3,
        description="made by a test",
        buffers=buffers,
        operatorCodes=[_code(code) for code in codes],
        subgraphs=[
            schema.SubGraphT(
                name="main",
                tensors=[_tensor(spec, buffers) for spec in tensors],
                inputs=np.array(inputs, np.int32),
                outputs=np.array(outputs, np.int32),
                operators=[
                    schema.OperatorT(
                        opcodeIndex=codes.index(op.code),
                        inputs=np.array(op.inputs, np.int32),
                        outputs=np.array(op.outputs, np.int32),
                        builtinOptions=op.options,
                        builtinOptionsType=getattr(schema.BuiltinOptions, op.options_type),
                    )
                    for op in operators
                ],
            )
        ],
    )


def _code(name):
    number = getattr(schema.BuiltinOperator, name)
    return schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1)


def pack(tree):
    """Return the bytes of an object tree."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def conv_model(tweak=None, batch=1):
    """A CONV_2D, a RESHAPE by a constant and a FULLY_CONNECTED, in float32: small, and LiteRT runs it."""
    rng = np.random.default_rng(7)
    weights = rng.normal(size=(2, 3, 3, 1)).astype(np.float32)
    dense = rng.normal(size=(5, 32)).astype(np.float32)
    tensors = [
        T("image", (batch, 4, 4, 1), signature=(-1, 4, 4, 1)),
        T("conv/weights", (2, 3, 3, 1), weights),
        T("conv/bias", (2,), np.array([0.5, -0.5], np.float32)),
        T("conv", (batch, 4, 4, 2)),
        T("shape", (2,), np.array([batch, 32], np.int32), "INT32"),
        T("flat", (batch, 32)),
        T("dense/weights", (5, 32), dense),
        T("scores", (batch, 5)),
    ]
    conv = schema.Conv2DOptionsT(padding=0, strideH=1, strideW=1, fusedActivationFunction=1)
    operators = [
        Op("CONV_2D", [0, 1, 2], [3], conv, "Conv2DOptions"),
        Op("RESHAPE", [3, 4], [5], schema.ReshapeOptionsT(newShape=np.array([batch, 32])), "ReshapeOptions"),
        Op("FULLY_CONNECTED", [5, 6, -1], [7], schema.FullyConnectedOptionsT(), "FullyConnectedOptions"),
    ]
    operators[1].options.newShape = operators[1].options.newShape.astype(np.int32)
    tree = tree_of(tensors, operators, [0], [7])
    if tweak is not None:
        tweak(tree)
    return pack(tree)


class Maker:
    """What tests make models with; a fixture, since tests are no package to import from."""

    T, Op, schema = T, Op, schema
    tree_of, pack, conv_model = staticmethod(tree_of), staticmethod(pack), staticmethod(conv_model)


@pytest.fixture(scope="session")
def maker():
    return Maker


@pytest.fixture(scope="session")
def shared_model():
    """Return the path of a published model, or skip."""

    def find(name):
        path = SHARED_MODELS / name
        if not path.is_file():
            pytest.skip(f"{name}: the folder with the MLPerf Tiny models is not here")
        return path

    return find
