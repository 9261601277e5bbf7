from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.graph import DTYPE_BITS, Graph, Operator, Subgraph, Tensor
from edgepack.converters.tflite.precision import precision_of
from edgepack.converters.tflite.reader import read_graph
from edgepack.converters.tflite.writer import normalize


def dense_layers(*layers):
    """A graph of FULLY_CONNECTED layers: (activation type, weight type, elements[, widened type])."""
    tensors, operators = [], []

    def add(dtype, shape, constant=False):
        stored = np.zeros(-(-int(np.prod(shape)) * DTYPE_BITS[dtype] // 8), np.uint8) if constant else None
        tensors.append(Tensor(len(tensors), "", shape, shape, dtype, stored=stored))
        return len(tensors) - 1

    for activation, weight, elements, *widened in layers:
        x, w = add(activation, (1, 8)), add(weight, (1, elements), constant=True)
        bias = add("int32" if "int" in activation else "float32", (1,), constant=True)
        if widened:
            wide = add(widened[0], (1, elements))
            operators.append(Operator(len(operators), "DEQUANTIZE", (w,), (wide,), {}))
            w = wide
        y = add(activation, (1, 1))
        operators.append(Operator(len(operators), "FULLY_CONNECTED", (x, w, bias), (y,), {}))
    return Graph("draft", 1, "", (Subgraph(0, "", tuple(tensors), tuple(operators), (), ()),), ())


@pytest.mark.parametrize(
    ("layers", "precision"),
    [
        ([("float32", "float32", 10)], "float32"),
        ([("float32", "float16", 10, "float32")], "float16"),
        ([("float32", "int8", 10)], "dynamic-int8"),
        ([("float32", "int8", 10, "float32")], "dynamic-int8"),
        ([("float32", "int8", 100), ("float32", "float32", 10)], "dynamic-int8"),
        ([("float32", "int8", 10), ("float32", "float32", 100)], "mixed"),
        ([("float32", "int4", 10)], "int4"),
        ([("int8", "int8", 10)], "int8"),
        ([("uint8", "uint8", 10)], "uint8"),
        ([("int16", "int8", 10)], "int16x8"),
        ([("int8", "int4", 60), ("int8", "int8", 40)], "int4"),
        ([("int8", "int4", 40), ("int8", "int8", 60)], "mixed"),
        ([("int8", "int8", 90), ("float32", "float32", 10)], "mixed"),
        ([("int8", "int8", 90), ("int16", "int8", 10)], "mixed"),
        ([("int32", "int8", 10)], "mixed"),
    ],
)
def test_precision_by_weights(layers, precision):
    assert precision_of(dense_layers(*layers)) == precision


@pytest.mark.parametrize(
    ("dtypes", "precision"),
    [
        (["float32"], "float32"),
        (["int8"], "int8"),
        (["int16"], "int16x8"),
        (["int8", "float32"], "mixed"),
        (["int32"], "float32"),
    ],
)
def test_precision_without_weights(dtypes, precision):
    tensors = tuple(Tensor(i, "", (1,), (1,), dtype) for i, dtype in enumerate(dtypes))
    assert precision_of(Graph("draft", 1, "", (Subgraph(0, "", tensors, (), (), ()),), ())) == precision


@pytest.mark.parametrize(
    ("recipe_name", "precision"),
    [
        ("dynamic_wi8_afp32", "dynamic-int8"),
        ("weight_only_wi8_afp32", "dynamic-int8"),
        ("dynamic_wi4_afp32", "int4"),
        ("dynamic_wi4b32_afp32", "mixed"),  # only the last, small layer takes blocks
    ],
)
def test_precision_of_what_the_quantizer_writes(shared_model, recipe_name, precision):
    from litert_quantizer import Quantizer, recipe

    quantizer = Quantizer(bytearray(normalize(shared_model("pretrainedResnet.tflite").read_bytes())))
    quantizer.load_quantization_recipe(getattr(recipe, recipe_name)())
    graph = read_graph(bytes(quantizer.quantize().quantized_model))
    assert precision_of(graph) == precision
    blocks = [t.quantization for t in graph.tensors if t.quantization and t.quantization.block_size]
    assert bool(blocks) == ("b32" in recipe_name)
    for block in blocks:
        assert block.block_size == 32
        assert graph.tensors[block.scale_tensor].data.dtype == np.float16
