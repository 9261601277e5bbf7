from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError, UnsupportedOpError
from edgepack.converters.tflite.reader import read_graph
from edgepack.converters.tflite.writer import normalize, set_batch


def run(model, *inputs):
    """Return the outputs of a model in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def samples(graph, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, t.shape).astype(np.int8)
        if t.dtype == "int8"
        else rng.normal(size=t.shape).astype(np.float32)
        for t in graph.inputs
    ]


def old_style(tree):
    """As files from before 2020: the operator only in `deprecated_builtin_code`."""
    for code in tree.operatorCodes:
        code.builtinCode = 0


def test_normalize_fills_codes_and_signature(maker):
    model = maker.conv_model(old_style)
    normal = normalize(model)
    codes = maker.schema.ModelT.InitFromObj(maker.schema.Model.GetRootAs(normal)).operatorCodes
    assert sorted(code.builtinCode for code in codes) == [3, 9, 22]
    graph = read_graph(normal)
    assert [s.key for s in graph.signatures] == ["serving_default"]
    assert graph.signatures[0].inputs == {"image": 0}
    assert graph.signatures[0].outputs == {"scores": 7}
    x = samples(graph)
    np.testing.assert_array_equal(run(normal, *x)[0], run(maker.conv_model(), *x)[0])
    assert normalize(normal) is normal


def test_normalize_makes_names_unique(maker):
    def rename(tree):
        subgraph = tree.subgraphs[0]
        subgraph.inputs = np.array([0, 3, 5, 1], np.int32)
        for index, name in ((0, "x"), (3, "x"), (5, "x_1"), (1, "")):
            subgraph.tensors[index].name = name

    graph = read_graph(normalize(maker.conv_model(rename)))
    assert graph.signatures[0].inputs == {"x": 0, "x_2": 3, "x_1": 5, "input_3": 1}


def test_buffers_are_aligned(maker):
    """The schema wants constants at multiples of 16; the generated Python code aligns them to 4."""
    normal = normalize(maker.conv_model())
    base = np.frombuffer(normal, np.uint8).__array_interface__["data"][0]
    for tensor in read_graph(normal).tensors:
        if tensor.is_constant:
            assert (tensor.data.__array_interface__["data"][0] - base) % 16 == 0


@pytest.mark.parametrize(
    "name",
    [
        "ad01_fp32.tflite",
        "ad01_int8.tflite",
        "kws_ref_model.tflite",
        "pretrainedResnet.tflite",
        "pretrainedResnet_quant.tflite",
    ],
)
def test_published_models_normalize_and_rebatch(shared_model, name):
    model = shared_model(name).read_bytes()
    normal = normalize(model)
    single = read_graph(normal)
    assert single.signatures
    batched = set_batch(normal, 4)
    x = samples(read_graph(batched))[0]
    assert x.shape[0] == 4
    each = np.concatenate([run(model, x[i : i + 1])[0] for i in range(4)])
    together = run(batched, x)[0]
    if x.dtype == np.int8:
        np.testing.assert_array_equal(together, each)
    else:
        np.testing.assert_allclose(together, each, rtol=1e-5, atol=1e-5)
    assert [op.op for op in read_graph(batched).operators] == [op.op for op in single.operators]


def test_litert_quantizer_takes_a_normalized_file(shared_model):
    """Without the codes it takes FULLY_CONNECTED for ADD and makes a model that no runtime loads."""
    litert_quantizer = pytest.importorskip("litert_quantizer")
    model = normalize(shared_model("ad01_fp32.tflite").read_bytes())
    quantizer = litert_quantizer.Quantizer(bytearray(model))
    quantizer.load_quantization_recipe(litert_quantizer.recipe.dynamic_wi8_afp32())
    quantized = bytes(quantizer.quantize().quantized_model)
    graph = read_graph(quantized)
    assert {op.op for op in graph.operators} == {"FULLY_CONNECTED"}
    x = samples(graph)[0]
    wanted = run(model, x)[0]
    assert np.corrcoef(run(quantized, x)[0].ravel(), wanted.ravel())[0, 1] > 0.99


def test_batch_of_a_small_model_and_back(maker):
    model = maker.conv_model()
    batched = set_batch(model, 3)
    graph = read_graph(batched)
    assert graph.inputs[0].shape == graph.inputs[0].shape_signature == (3, 4, 4, 1)
    assert graph.outputs[0].shape == (3, 5)
    assert graph.operators[1].options["new_shape"] == (3, 32)
    x = samples(graph)[0]
    each = np.concatenate([run(model, x[i : i + 1])[0] for i in range(3)])
    np.testing.assert_allclose(run(batched, x)[0], each, rtol=1e-5, atol=1e-6)
    back = set_batch(batched, 1)
    np.testing.assert_allclose(run(back, x[:1])[0], each[:1], rtol=1e-5, atol=1e-6)
    assert set_batch(model, 1) is model


def test_a_shared_shape_is_left_to_its_other_reader(maker):
    """The RESHAPE gets a constant of its own; the old one stays."""
    before = read_graph(maker.conv_model())
    after = read_graph(set_batch(maker.conv_model(), 2))
    assert after.tensors[4].data.tolist() == before.tensors[4].data.tolist() == [1, 32]
    own = after.tensors[after.operators[1].inputs[1]]
    assert own.data.tolist() == [2, 32]


def _single(maker, code, shape_in, shape_out, constant=None, options=None, kind="NONE", dtype="INT32"):
    tensor = maker.T
    tensors = [tensor("x", shape_in), tensor("y", shape_out)]
    inputs = [0]
    if constant is not None:
        data = np.array(constant, np.float32 if dtype == "FLOAT32" else np.int32)
        tensors.append(tensor("setting", data.shape, data, dtype))
        inputs.append(2)
    return maker.pack(maker.tree_of(tensors, [maker.Op(code, inputs, [1], options, kind)], [0], [1]))


def test_what_mixes_samples_is_refused(maker):
    s = maker.schema
    cases = [
        ("TRANSPOSE", (1, 4), (4, 1), [1, 0], None, "NONE", "moves the batch"),
        ("MEAN", (1, 4), (4,), [0], s.ReducerOptionsT(), "ReducerOptions", "works along the batch"),
        ("MEAN", (1, 4), (4,), [-2], s.ReducerOptionsT(), "ReducerOptions", "works along the batch"),
        ("SQUEEZE", (1, 4), (4,), None, s.SqueezeOptionsT(), "SqueezeOptions", "every dimension of size 1"),
        ("RESHAPE", (2, 4), (1, 8), [1, 8], None, "NONE", r"constant shape \[1, 8\]"),
        ("PAD", (1, 4), (2, 4), [[0, 1], [0, 0]], None, "NONE", "pads the batch"),
        ("TILE", (1, 4), (2, 4), [2, 1], None, "NONE", "repeats the batch"),
        ("BROADCAST_TO", (1, 4), (2, 4), [2, 4], None, "NONE", "has no rule"),
    ]
    for code, shape_in, shape_out, constant, options, kind, why in cases:
        with pytest.raises(UnsupportedOpError, match=why) as caught:
            set_batch(_single(maker, code, shape_in, shape_out, constant, options, kind), 4)
        assert f"operator 0 ({code})" in caught.value.message


def test_elementwise_constants(maker):
    add = maker.schema.AddOptionsT()
    fine = _single(maker, "ADD", (1, 4), (1, 4), [[1, 2, 3, 4]], add, "AddOptions", "FLOAT32")
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(run(set_batch(fine, 2), x)[0], x + np.arange(1, 5))
    differs = _single(maker, "ADD", (2, 4), (2, 4), np.ones((2, 4)), add, "AddOptions", "FLOAT32")
    with pytest.raises(UnsupportedOpError, match="differs between samples"):
        set_batch(differs, 4)


@pytest.mark.parametrize(
    ("code", "constant", "dtype"),
    [
        ("TRANSPOSE_CONV", None, "INT32"),
        ("SPLIT", None, "INT32"),
        ("BATCH_MATMUL", None, "INT32"),
        ("RESHAPE", [[1, 4], [1, 4]], "INT32"),
        ("RESHAPE", [1.0, 4.0], "FLOAT32"),
        ("TRANSPOSE", [[1, 0]], "INT32"),
        ("MEAN", [0.5], "FLOAT32"),
    ],
)
def test_operands_that_make_no_sense(maker, code, constant, dtype):
    """Refused, or carried out where TFLite would; never a foreign exception."""
    try:
        read_graph(set_batch(_single(maker, code, (1, 4), (1, 4), constant, dtype=dtype), 4))
    except UnsupportedOpError as error:
        assert code in error.message


def test_batches_that_cannot_be(maker):
    with pytest.raises(ConversionError, match="batch 0, expected 1 or more"):
        set_batch(maker.conv_model(), 0)

    def two(tree):
        tree.subgraphs[0].inputs = np.array([0, 4], np.int32)

    with pytest.raises(
        ConversionError, match=r"do not share a leading dimension: 'image' \[1, 4, 4, 1\], 'shape'"
    ):
        set_batch(maker.conv_model(two), 2)


def test_data_behind_the_flatbuffer_is_brought_in(maker):
    bias = np.array([1.5, 2.5], np.float32).tobytes()

    def at(offset):
        def change(tree):
            buffer = tree.buffers[tree.subgraphs[0].tensors[2].buffer]
            buffer.data, buffer.offset, buffer.size = None, offset, len(bias)

        return maker.conv_model(change)

    model = at(len(at(1 << 20))) + bias
    graph = read_graph(normalize(model))
    np.testing.assert_array_equal(graph.tensors[2].data, np.array([1.5, 2.5], np.float32))
    x = samples(graph)[0]
    np.testing.assert_array_equal(run(normalize(model), x)[0], run(model, x)[0])
