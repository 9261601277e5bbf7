from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.converters.errors import ConversionError
from edgepack.converters.tflite.bounds import MAX_FILE_BYTES
from edgepack.converters.tflite.precision import precision_of
from edgepack.converters.tflite.reader import read_graph
from edgepack.converters.tflite.writer import normalize, set_batch

ALL_SHARED = [
    # file, operators, first operator, precision
    ("ad01_fp32.tflite", 10, "FULLY_CONNECTED", "float32"),
    ("ad01_int8.tflite", 10, "FULLY_CONNECTED", "int8"),
    ("kws_ref_model.tflite", 13, "CONV_2D", "int8"),
    ("pretrainedResnet.tflite", 16, "CONV_2D", "float32"),
    ("pretrainedResnet_quant.tflite", 16, "CONV_2D", "int8"),
]


@pytest.mark.parametrize(("name", "operators", "first", "precision"), ALL_SHARED)
def test_published_models(shared_model, name, operators, first, precision):
    path = shared_model(name)
    graph = read_graph(path)
    assert graph.source == str(path)
    assert graph.size_bytes == path.stat().st_size
    assert len(graph.operators) == operators
    assert graph.operators[0].op == first
    assert precision_of(graph) == precision
    assert graph.inputs[0].shape_signature[0] == -1
    assert graph.signatures == ()


def test_values_agree_with_litert(shared_model):
    """Every tensor: name, shape, quantization and constant data as LiteRT's own reader gives them."""
    from ai_edge_litert.interpreter import Interpreter

    path = shared_model("kws_ref_model.tflite")
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    graph = read_graph(path)
    for detail in interpreter.get_tensor_details()[: len(graph.tensors)]:
        tensor = graph.tensors[detail["index"]]
        assert tensor.name == detail["name"]
        assert tensor.shape == tuple(detail["shape"])
        assert np.dtype(tensor.dtype) == detail["dtype"]
        if tensor.quantization is not None:
            # LiteRT repeats the one scale of a FULLY_CONNECTED for each channel when it prepares the model.
            scales = detail["quantization_parameters"]["scales"]
            zero_points = detail["quantization_parameters"]["zero_points"]
            np.testing.assert_array_equal(np.broadcast_to(tensor.quantization.scale, scales.shape), scales)
            np.testing.assert_array_equal(
                np.broadcast_to(tensor.quantization.zero_point, zero_points.shape), zero_points
            )
            dimension = detail["quantization_parameters"]["quantized_dimension"]
            assert tensor.quantization.quantized_dimension == dimension
        if tensor.is_constant:
            np.testing.assert_array_equal(tensor.data, interpreter.get_tensor(detail["index"]))


def test_a_small_model(maker):
    data = maker.conv_model()
    graph = read_graph(data)
    assert graph.source == "<bytes>"
    assert graph.description == "made by a test"
    assert [op.op for op in graph.operators] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert graph.operators[0].options["padding"] == "SAME"
    assert graph.operators[0].options["stride_h"] == 1
    assert graph.operators[0].options["dilation_w_factor"] == 1
    assert graph.operators[0].options["fused_activation_function"] == "RELU"
    assert graph.operators[1].options == {"new_shape": (1, 32)}
    assert graph.operators[2].inputs == (5, 6, -1)
    assert graph.main.input_tensors(graph.operators[2])[2] is None
    image, bias = graph.tensors[0], graph.tensors[2]
    assert (image.shape, image.shape_signature) == ((1, 4, 4, 1), (-1, 4, 4, 1))
    assert image.data is None
    np.testing.assert_array_equal(bias.data, np.array([0.5, -0.5], np.float32))
    assert not bias.data.flags.writeable
    assert np.shares_memory(bias.data, np.frombuffer(data, np.uint8)), "constants must not be copied"


def test_operators_of_old_files(maker):
    """ad01 holds FULLY_CONNECTED (9) as (builtin 0, deprecated 9): code 0 alone would be ADD."""

    def old(tree):
        for code in tree.operatorCodes:
            code.builtinCode = 0

    graph = read_graph(maker.conv_model(old))
    assert [op.op for op in graph.operators] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]


def test_custom_and_future_operators(maker):
    def change(tree):
        tree.operatorCodes[0].builtinCode = maker.schema.BuiltinOperator.CUSTOM
        tree.operatorCodes[0].deprecatedBuiltinCode = maker.schema.BuiltinOperator.CUSTOM
        tree.operatorCodes[0].customCode = "MyOp"
        tree.operatorCodes[1].builtinCode = 4000

    operators = read_graph(maker.conv_model(change)).operators
    assert (operators[0].op, operators[0].custom_code, operators[0].label) == ("CUSTOM", "MyOp", "MyOp")
    assert operators[2].label == "BUILTIN_4000"


def test_subgraphs_signatures_and_variables(maker):
    schema = maker.schema

    def change(tree):
        other = maker.tree_of([maker.T("state", (3,), variable=True)], [], [], []).subgraphs[0]
        other.name = "init"
        tree.subgraphs.append(other)
        tree.signatureDefs = [
            schema.SignatureDefT(
                signatureKey="serve",
                inputs=[schema.TensorMapT(name="x", tensorIndex=0)],
                outputs=[schema.TensorMapT(name="y", tensorIndex=7)],
            )
        ]

    graph = read_graph(maker.conv_model(change))
    assert [s.name for s in graph.subgraphs] == ["main", "init"]
    assert graph.subgraphs[1].tensors[0].is_variable
    signature = graph.signatures[0]
    assert (signature.key, signature.subgraph) == ("serve", 0)
    assert (signature.inputs, signature.outputs) == ({"x": 0}, {"y": 7})


def test_int4_and_per_channel_scales(maker):
    tensor, operator = maker.T, maker.Op
    packed = np.array([0x21, 0x87, 0x0F], np.uint8)  # 1, 2, 7, -8, -1
    weights = tensor("w", (5, 1), packed, "INT4", scale=[0.1, 0.2, 0.3, 0.4, 0.5], dimension=0)
    tree = maker.tree_of(
        [tensor("x", (1, 1)), weights, tensor("y", (1, 5))],
        [operator("FULLY_CONNECTED", [0, 1, -1], [2])],
        [0],
        [2],
    )
    weights = read_graph(maker.pack(tree)).tensors[1]
    assert weights.data.ravel().tolist() == [1, 2, 7, -8, -1]
    assert (weights.data.dtype, weights.data.shape) == (np.int8, (5, 1))
    assert (weights.size_bytes, weights.stored_bytes) == (3, 3)
    assert weights.quantization.per_channel
    assert weights.quantization.zero_point.tolist() == [0] * 5


def _behind(maker, offset_error=0):
    """Return a model whose bias lies behind the flatbuffer."""
    bias = np.array([1.5, 2.5], np.float32).tobytes()

    def at(offset):
        def change(tree):
            buffer = tree.buffers[tree.subgraphs[0].tensors[2].buffer]
            buffer.data, buffer.offset, buffer.size = None, offset, len(bias)

        return maker.conv_model(change)

    length = len(at(1 << 20))
    return at(length + offset_error) + bias


def test_buffers_behind_the_flatbuffer(maker):
    graph = read_graph(_behind(maker))
    np.testing.assert_array_equal(graph.tensors[2].data, np.array([1.5, 2.5], np.float32))
    with pytest.raises(ConversionError, match=r"buffer \d+ lies at"):
        read_graph(_behind(maker, offset_error=1))


def _set(path, value):
    """Return a tweak that sets one field, such as "subgraphs.0.tensors.3.buffer"."""
    *way, last = path.split(".")

    def change(tree):
        node = tree
        for step in way:
            node = node[int(step)] if step.isdigit() else getattr(node, step)
        setattr(node, last, value)

    return change


def _quantize(scales, zero_points, dimension=0):
    def change(tree):
        from ai_edge_litert import schema_py_generated as schema

        tree.subgraphs[0].tensors[6].quantization = schema.QuantizationParametersT(
            scale=np.array(scales, np.float32),
            zeroPoint=np.array(zero_points, np.int64),
            quantizedDimension=dimension,
        )

    return change


def _signature(subgraph, tensor):
    def change(tree):
        from ai_edge_litert import schema_py_generated as schema

        maps = [schema.TensorMapT(name="x", tensorIndex=tensor)]
        tree.signatureDefs = [schema.SignatureDefT(signatureKey="s", inputs=maps, subgraphIndex=subgraph)]

    return change


def ints(*values):
    return np.array(values, np.int32)


HOSTILE = [
    ("another schema", _set("version", 2), "schema version 2"),
    ("no subgraph", _set("subgraphs", []), "no subgraph"),
    ("buffer index", _set("subgraphs.0.tensors.0.buffer", 77), "buffer 77 of"),
    ("unknown type", _set("subgraphs.0.tensors.0.type", 99), "type 99"),
    ("buffer smaller than shape", _set("subgraphs.0.tensors.2.shape", ints(3)), "holds 8 bytes, but float32"),
    ("negative dimension", _set("subgraphs.0.tensors.3.shape", ints(1, -4)), r"shape \[1, -4\]"),
    ("too many elements", _set("subgraphs.0.tensors.3.shape", ints(1 << 30, 1 << 30)), "shape"),
    ("rank", _set("subgraphs.0.tensors.3.shape", ints(*[1] * 50)), "shape"),
    ("operator code", _set("subgraphs.0.operators.0.opcodeIndex", 9), "operator code 9, expected 0 to 2"),
    ("negative operator", _set("operatorCodes.0.builtinCode", -5), None),
    ("input index", _set("subgraphs.0.operators.0.inputs", ints(0, 1, 200)), "tensor 200, expected -1 to 7"),
    ("input below -1", _set("subgraphs.0.operators.0.inputs", ints(0, -2)), "tensor -2"),
    ("absent output", _set("subgraphs.0.operators.0.outputs", ints(-1)), "tensor -1, expected 0 to 7"),
    ("graph input", _set("subgraphs.0.inputs", ints(8)), "subgraph 0 inputs: tensor 8"),
    ("graph output", _set("subgraphs.0.outputs", ints(-1)), "subgraph 0 outputs: tensor -1"),
    ("scales of no dimension", _quantize([1, 2, 3], [0, 0, 0]), "3 scales"),
    ("scales without zero points", _quantize([1] * 5, [0, 0]), "5 scales and 2 zero points"),
    ("scale is NaN", _quantize([float("nan")], [0]), "not finite"),
    ("scale below zero", _quantize([-1.0], [0]), "negative"),
    ("signature's subgraph", _signature(3, 0), "names subgraph 3 of 1"),
    ("signature's tensor", _signature(0, 30), "names tensor 30 of 8"),
    ("another file's data", _set("subgraphs.0.tensors.1.externalBuffer", 1), "in another file"),
]


@pytest.mark.parametrize(
    ("tweak", "found"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_unsound_models(maker, tmp_path, tweak, found):
    path = tmp_path / "bad.tflite"
    path.write_bytes(maker.conv_model(tweak))
    if found is None:  # the deprecated code saves it: max(-5, 3)
        assert read_graph(path).operators[0].op == "CONV_2D"
        return
    with pytest.raises(ConversionError, match=found) as caught:
        read_graph(path)
    assert caught.value.message.startswith(str(path))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "only 0 bytes"),
        (b"TFL3", "only 4 bytes"),
        (b"PK\x03\x04" + bytes(100), "not a .tflite file"),
        (b"\x1c\x00\x00\x00TFL3", "cannot follow"),
        (b"\xff\xff\xff\xffTFL3" + bytes(64), "cannot follow"),
    ],
)
def test_not_a_model(data, found):
    with pytest.raises(ConversionError, match=found):
        read_graph(data)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConversionError, match="no such file"):
        read_graph(tmp_path / "absent.tflite")
    with pytest.raises(ConversionError, match="found a folder"):
        read_graph(tmp_path)
    huge = tmp_path / "huge.tflite"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room on the disk
    with pytest.raises(ConversionError, match="larger than 2147483648 bytes"):
        read_graph(huge)


def test_every_truncation(maker):
    data = maker.conv_model()
    refused = 0
    for length in range(0, len(data), 7):
        try:
            read_graph(data[:length])
        except ConversionError:
            refused += 1
    assert refused > len(data) // 7 * 0.9


def test_a_small_file_cannot_describe_a_huge_graph(maker):
    """Ten thousand operators that share one vector of ten thousand inputs: 10^8 indices from under 1 MB."""
    schema = maker.schema
    builder = flatbuffers.Builder(1 << 20)
    shared = builder.CreateNumpyVector(np.full(10_000, -1, np.int32))
    operators = []
    for _ in range(10_000):
        schema.OperatorStart(builder)
        schema.OperatorAddInputs(builder, shared)
        operators.append(schema.OperatorEnd(builder))

    def vector(start, items):
        start(builder, len(items))
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    operators = vector(schema.SubGraphStartOperatorsVector, operators)
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, operators)
    subgraphs = vector(schema.ModelStartSubgraphsVector, [schema.SubGraphEnd(builder)])
    schema.OperatorCodeStart(builder)
    codes = vector(schema.ModelStartOperatorCodesVector, [schema.OperatorCodeEnd(builder)])
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddOperatorCodes(builder, codes)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    data = bytes(builder.Output())
    assert len(data) < 1 << 20
    with pytest.raises(ConversionError, match="far more data than the file holds"):
        read_graph(data)


def test_buffers_that_share_their_data_are_bounded(maker):
    """A thousand buffers over one region of the file would be a thousand times the file when rewritten."""

    def change(tree):
        size = 100_000
        tree.buffers[0].data = np.zeros(size, np.uint8)
        for _ in range(1000):
            tree.buffers.append(maker.schema.BufferT(offset=16, size=size))

    with pytest.raises(ConversionError, match="far more data than the file holds"):
        normalize(maker.conv_model(change))


def _exercise(data):
    """Read, decode and rewrite; only ConversionError may come out."""
    try:
        graph = read_graph(data)
        for subgraph in graph.subgraphs:
            for tensor in subgraph.tensors:
                assert tensor.data is None or tensor.is_constant
        precision_of(graph)
        normalize(data)
        set_batch(data, 3)
    except ConversionError as error:
        assert error.message
        assert error.remedy


EDITS = st.lists(st.tuples(st.floats(0, 0.999999), st.integers(0, 255)), min_size=1, max_size=12)


def _edited(data, edits, keep):
    edited = bytearray(data)
    for place, value in edits:
        edited[int(place * len(edited))] = value
    return bytes(edited[: max(1, int(keep * len(edited)))])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, keep=st.sampled_from([1.0, 1.0, 1.0, 0.99, 0.7, 0.2]))
def test_damaged_small_model(maker, edits, keep):
    _exercise(_edited(maker.conv_model(), edits, keep))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, keep=st.sampled_from([1.0, 1.0, 0.9]))
def test_damaged_published_model(shared_model, edits, keep):
    _exercise(_edited(shared_model("kws_ref_model.tflite").read_bytes(), edits, keep))
