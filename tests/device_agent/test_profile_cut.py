"""Models cut off after an operator: each must load, and compute what the whole model has in that place."""

from __future__ import annotations

import numpy as np
import pytest

from edgepack.converters.tflite.reader import read_graph
from edgepack.device_agent.profile_cut import read_cuttable
from tests.device_agent.profile_models import SHARED, chain_model

WIDTHS = [5, 7, 3]


def run(model: bytes, x: np.ndarray) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def test_every_cut_computes_the_layer_it_ends_with() -> None:
    model = chain_model(2, WIDTHS)
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    graph = read_graph(model)
    expected = x
    cuttable = read_cuttable(model)
    assert len(cuttable.reads) == 3
    (empty,) = run(cuttable.cut_after(-1), x)
    assert np.array_equal(empty, x)
    for index in range(2):
        weights = graph.tensors[graph.operators[index].inputs[1]].data
        expected = expected @ weights.T
        (found,) = run(cuttable.cut_after(index), x)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    (whole,) = run(cuttable.cut_after(2), x)
    np.testing.assert_allclose(whole, np.exp(expected) / np.exp(expected).sum(1, keepdims=True), rtol=1e-5)


def test_every_cut_of_a_model_with_branches_keeps_what_is_read_later() -> None:
    path = SHARED / "pretrainedResnet_quant.tflite"
    if not path.is_file():
        pytest.skip("the folder with the MLPerf Tiny models is not here")
    model, graph = path.read_bytes(), read_graph(path)
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    (whole,) = run(model, x)
    cuttable = read_cuttable(model)
    widest = 0
    for operator in graph.operators:
        outputs = run(cuttable.cut_after(operator.index), x)
        widest = max(widest, len(outputs))
        read_later = {i for later in graph.operators[operator.index + 1 :] for i in later.inputs}
        produced = {i for done in graph.operators[: operator.index + 1] for i in done.outputs}
        assert len(outputs) == len(produced & (read_later | set(graph.main.outputs)))
    assert widest == 2, "the residual connection lives beside the convolutions"
    assert np.array_equal(outputs[0], whole)


@pytest.mark.parametrize("model", [b"", b"\x08\0\0\0TFL3", bytes(64), b"\xff" * 64])
def test_what_is_no_model_is_a_value_error(model: bytes) -> None:
    with pytest.raises(ValueError, match="model"):
        read_cuttable(model)
