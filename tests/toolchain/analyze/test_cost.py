from __future__ import annotations

import pytest

from edgepack.toolchain.analyze.cost import analyze

# Counted by others, from the models' own documentation and TFLM's recording allocator.
PUBLISHED = [
    # file, MACs, bytes of weights and biases, largest live activations
    ("ad01_int8.tflite", 264_192, 270_880, 768),
    ("kws_ref_model.tflite", 2_656_768, 24_368, 16_000),
    ("pretrainedResnet_quant.tflite", 12_501_632, 78_744, 49_152),
    # the float models have the same layers, and four bytes a value
    ("ad01_fp32.tflite", 264_192, 1_063_456, 4 * 768),
    ("pretrainedResnet.tflite", 12_501_632, 310_824, 4 * 49_152),
]


@pytest.mark.parametrize(("name", "macs", "weight_bytes", "peak_bytes"), PUBLISHED)
def test_published_models(shared_graph, name, macs, weight_bytes, peak_bytes):
    graph = shared_graph(name)
    cost = analyze(graph)
    assert cost.macs == macs == sum(row.macs for row in cost.operators)
    assert cost.weight_bytes == weight_bytes == sum(row.weight_bytes for row in cost.operators)
    assert cost.peak_activation_bytes == peak_bytes
    assert sum(t.size_bytes for t in cost.memory.peak_tensors) == peak_bytes
    assert cost.file_bytes == graph.size_bytes
    assert cost.memory.state_bytes == cost.memory.dequantized_weight_bytes == 0
    assert cost.uncounted == ()


def test_what_sets_the_peak_of_the_residual_network(shared_graph):
    cost = analyze(shared_graph("pretrainedResnet_quant.tflite"))
    assert cost.peak_operator.op == "CONV_2D"
    assert [t.size_bytes for t in cost.memory.peak_tensors] == [16_384, 16_384, 16_384]


def test_rows_of_a_small_model(draft):
    x = draft.add((1, 4, 4, 1), "int8")
    w, b = draft.add((2, 3, 3, 1), "int8", constant=True), draft.add((2,), "int32", constant=True)
    a, shape, y = (
        draft.add((1, 4, 4, 2), "int8"),
        draft.add((2,), "int32", constant=True),
        draft.add((1, 32), "int8"),
    )
    draft.op("CONV_2D", [x, w, b], [a]).op("RESHAPE", [a, shape], [y])
    conv, reshape = analyze(draft.graph([x], [y])).operators
    assert (conv.op, conv.name) == ("CONV_2D", f"t{a}")
    assert (conv.input_shapes, conv.output_shapes) == (((1, 4, 4, 1),), ((1, 4, 4, 2),))
    assert (conv.macs, conv.parameters, conv.weight_bytes) == (32 * 9, 20, 18 + 8)
    assert (conv.read_bytes, conv.written_bytes) == (16 + 18 + 8, 32)
    assert conv.arithmetic_intensity == pytest.approx(288 / 74)
    assert (reshape.macs, reshape.parameters, reshape.weight_bytes) == (0, 0, 0)
    assert reshape.arithmetic_intensity == 0


def test_a_shared_weight_counts_once_in_the_totals(draft):
    x, a, y = (draft.add((1, 8), "int8") for _ in range(3))
    first = draft.add((8, 8), "int8", constant=True, buffer=7)
    second = draft.add((8, 8), "int8", constant=True, buffer=7)
    draft.op("FULLY_CONNECTED", [x, first, -1], [a]).op("FULLY_CONNECTED", [a, second, -1], [y])
    cost = analyze(draft.graph([x], [y]))
    assert [row.weight_bytes for row in cost.operators] == [64, 64]
    assert (cost.parameters, cost.weight_bytes) == (64, 64)


def test_float16_weights_belong_to_their_reader(draft):
    x, w16 = draft.add((1, 8)), draft.add((4, 8), "float16", constant=True)
    w32, y = draft.add((4, 8)), draft.add((1, 4))
    draft.op("DEQUANTIZE", [w16], [w32]).op("FULLY_CONNECTED", [x, w32, -1], [y])
    widen, dense = analyze(draft.graph([x], [y])).operators
    assert (widen.parameters, widen.read_bytes, widen.written_bytes, widen.macs) == (0, 0, 0, 0)
    assert (dense.parameters, dense.weight_bytes, dense.read_bytes) == (32, 64, 32 + 64)


def test_int4_weights_are_counted_as_stored(draft):
    x, w, y = draft.add((1, 8), "int8"), draft.add((5, 8), "int4", constant=True), draft.add((1, 5), "int8")
    row = analyze(draft.op("FULLY_CONNECTED", [x, w, -1], [y]).graph([x], [y])).operators[0]
    assert (row.parameters, row.weight_bytes) == (40, 20)


def test_a_table_is_read_only_where_it_is_looked_up(draft):
    table, ids = draft.add((1000, 16), constant=True), draft.add((3,), "int32")
    y = draft.add((3, 16))
    row = analyze(draft.op("GATHER", [table, ids], [y]).graph([ids], [y])).operators[0]
    assert (row.parameters, row.read_bytes) == (16_000, 3 * 16 * 4 + 12)


def test_output_shape_of_a_transposed_convolution_is_no_parameter(draft):
    shape, w = draft.add((4,), "int32", constant=True), draft.add((2, 3, 3, 1), constant=True)
    x, y = draft.add((1, 4, 4, 1)), draft.add((1, 8, 8, 2))
    row = analyze(draft.op("TRANSPOSE_CONV", [shape, w, x], [y]).graph([x], [y])).operators[0]
    assert row.parameters == 18


def test_what_is_not_counted_is_said(draft):
    x, y, text = draft.add((1, 4)), draft.add((1, 4)), draft.add((1,), "string")
    draft.op("CUSTOM", [x], [y, text], custom_code="MyOp")
    cost = analyze(draft.graph([x], [y]))
    assert cost.operators[0].macs is None
    assert cost.operators[0].arithmetic_intensity is None
    assert cost.uncounted == (
        "operator 0 (MyOp): a custom operator's work is known only to its own kernel",
        f"tensor {text} 't{text}': string has no fixed size",
    )
