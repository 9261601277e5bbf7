from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.converters.errors import ConversionError
from edgepack.converters.graph import DTYPE_BITS, Graph, Operator, QuantParams, Subgraph, Tensor


def tensor(dtype, shape, data=None, **more):
    stored = None if data is None else np.frombuffer(bytes(data), np.uint8)
    return Tensor(0, "t", shape, shape, dtype, stored=stored, **more)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
)
def test_plain_types_are_views(dtype):
    values = np.arange(6).astype(dtype).reshape(2, 3)
    constant = tensor(dtype, (2, 3), values.tobytes())
    np.testing.assert_array_equal(constant.data, values)
    assert constant.data.dtype == values.dtype
    assert np.shares_memory(constant.data, constant.stored)
    assert constant.size_bytes == constant.stored_bytes == values.nbytes
    with pytest.raises(ValueError, match="read-only"):
        constant.data[0, 0] = 1


def test_bool_and_bfloat16():
    assert tensor("bool", (3,), [1, 0, 1]).data.tolist() == [True, False, True]
    values = np.array([1.0, -2.5, 3.140625, 0.0], np.float32)
    top = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    np.testing.assert_array_equal(tensor("bfloat16", (2, 2), top).data.ravel(), values)


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=33))
def test_int4_round_trip(values):
    padded = [*values, 0] if len(values) % 2 else values
    packed = [(low & 15) | (high & 15) << 4 for low, high in zip(padded[::2], padded[1::2], strict=True)]
    constant = tensor("int4", (len(values),), packed)
    assert constant.data.tolist() == values
    assert constant.data.dtype == np.int8
    assert constant.size_bytes == len(packed)
    unsigned = tensor("uint4", (len(values),), packed)
    assert unsigned.data.tolist() == [v & 15 for v in values]
    assert unsigned.data.dtype == np.uint8


@given(st.lists(st.integers(-2, 1), min_size=1, max_size=33))
def test_int2_round_trip(values):
    padded = values + [0] * (-len(values) % 4)
    packed = [
        sum((v & 3) << 2 * i for i, v in enumerate(padded[n : n + 4])) for n in range(0, len(padded), 4)
    ]
    constant = tensor("int2", (len(values),), packed)
    assert constant.data.tolist() == values
    assert constant.size_bytes == len(packed)


def test_scalars_empty_and_activations():
    assert tensor("float32", ()).elements == 1
    assert tensor("float32", ()).size_bytes == 4
    assert tensor("float32", (0, 3)).size_bytes == 0
    activation = tensor("int8", (2, 3))
    assert not activation.is_constant
    assert activation.data is None
    assert activation.stored_bytes == 0
    assert tensor("float32", (), np.float32(2).tobytes()).data.shape == ()


def test_types_without_a_fixed_width():
    text = tensor("string", (1,), b"\x01\x00\x00\x00raw")
    assert text.size_bytes is None
    assert bytes(text.data) == b"\x01\x00\x00\x00raw"


def test_sparse_constants_are_not_decoded():
    sparse = tensor("int8", (100,), b"\x01\x02", is_sparse=True)
    assert sparse.stored_bytes == 2
    with pytest.raises(ConversionError, match="stored sparse"):
        _ = sparse.data


def test_every_fixed_type_has_a_size():
    assert all(tensor(dtype, (8,)).size_bytes == bits for dtype, bits in DTYPE_BITS.items())


def test_per_channel():
    one = QuantParams(np.ones(1, np.float32), np.zeros(1, np.int64))
    many = QuantParams(np.ones(3, np.float32), np.zeros(3, np.int64), 3)
    assert not one.per_channel
    assert many.per_channel


def test_weights_behind_a_dequantize():
    half = Tensor(0, "w16", (2,), (2,), "float16", stored=np.zeros(4, np.uint8))
    wide = Tensor(1, "w32", (2,), (2,), "float32")
    other = Tensor(2, "x", (2,), (2,), "float32")
    widen = Operator(0, "DEQUANTIZE", (0,), (1,), {})
    add = Operator(1, "ADD", (1, 2), (2,), {})
    subgraph = Subgraph(0, "main", (half, wide, other), (widen, add), (2,), (2,))
    producers = subgraph.producers()
    assert subgraph.stored_weight(0, producers) is half
    assert subgraph.stored_weight(1, producers) is half
    assert subgraph.stored_weight(2, producers) is None
    assert subgraph.stored_weight(-1, producers) is None


def test_graph_shows_its_main_subgraph():
    x, y = Tensor(0, "x", (1,), (1,), "int8"), Tensor(1, "y", (1,), (1,), "int8")
    relu = Operator(0, "RELU", (0,), (1,), {})
    graph = Graph("m", 10, "", (Subgraph(0, "main", (x, y), (relu,), (0,), (1,)),), ())
    assert graph.inputs == (x,)
    assert graph.outputs == (y,)
    assert graph.operators == (relu,)
    assert graph.tensors == (x, y)
