from __future__ import annotations

import pytest

from edgepack.toolchain.analyze.macs import arithmetic_of


def work(draft, op, inputs, outputs, **options):
    """Return the arithmetic of one operator over tensors of these shapes (None: an absent input)."""
    ins = [-1 if shape is None else draft.add(shape) for shape in inputs]
    outs = [draft.add(shape) for shape in outputs]
    draft.op(op, ins, outs, **options)
    graph = draft.graph([], outs)
    return arithmetic_of(graph.main, graph.operators[0])


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "options", "macs"),
    [
        # by hand: 1*5*5*8 outputs, each 3*3*4 products
        ("CONV_2D", [(1, 5, 5, 4), (8, 3, 3, 4), (8,)], [(1, 5, 5, 8)], {}, 200 * 36),
        # two groups: each output sees half of the 4 input channels
        ("CONV_2D", [(1, 5, 5, 4), (8, 3, 3, 2), (8,)], [(1, 5, 5, 8)], {}, 200 * 18),
        ("DEPTHWISE_CONV_2D", [(1, 5, 5, 4), (1, 3, 3, 8)], [(2, 5, 5, 8)], {}, 400 * 9),
        ("FULLY_CONNECTED", [(1, 12), (7, 12), None], [(1, 7)], {}, 84),
        ("FULLY_CONNECTED", [(2, 3, 12), (7, 12), None], [(2, 3, 7)], {}, 6 * 84),
        ("TRANSPOSE_CONV", [(4,), (8, 3, 3, 4), (1, 5, 5, 4)], [(1, 10, 10, 8)], {}, 100 * 72),
        ("CONV_3D", [(1, 4, 4, 4, 2), (3, 3, 3, 2, 5)], [(1, 4, 4, 4, 5)], {}, 320 * 54),
        ("CONV_3D_TRANSPOSE", [(5,), (3, 3, 3, 5, 2), (1, 4, 4, 4, 2)], [(1, 8, 8, 8, 5)], {}, 128 * 135),
        ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], [(2, 3, 5)], {}, 30 * 4),
        ("BATCH_MATMUL", [(2, 4, 3), (2, 4, 5)], [(2, 3, 5)], {"adj_x": True}, 30 * 4),
        ("SVDF", [(2, 10), (6, 10), (6, 8), None], [(2, 6)], {}, 2 * (60 + 48)),
    ],
)
def test_macs(draft, op, inputs, outputs, options, macs):
    result = work(draft, op, inputs, outputs, **options)
    assert (result.macs, result.ops, result.reason) == (macs, 0, None)


def test_lstm_multiplies_its_eight_matrices_at_each_step(draft):
    batch, steps, features, units = 2, 7, 5, 3
    x = draft.add((batch, steps, features))
    input_weights = [draft.add((units, features), constant=True) for _ in range(4)]
    recurrent = [draft.add((units, units), constant=True) for _ in range(4)]
    biases = [draft.add((units,), constant=True) for _ in range(4)]
    state = [draft.add((batch, units), variable=True) for _ in range(2)]
    y = draft.add((batch, steps, units))
    inputs = [x, *input_weights, *recurrent, -1, -1, -1, *biases, -1, -1, *state]
    draft.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y])
    graph = draft.graph([x], [y])
    expected = batch * steps * 4 * units * (features + units)
    assert arithmetic_of(graph.main, graph.operators[0]).macs == expected


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "options", "ops"),
    [
        ("ADD", [(1, 6), (6,)], [(1, 6)], {}, 6),
        ("SOFTMAX", [(1, 10)], [(1, 10)], {}, 10),
        ("MEAN", [(1, 5, 5, 4), (2,)], [(1, 4)], {}, 100),
        ("MAX_POOL_2D", [(1, 4, 4, 2)], [(1, 2, 2, 2)], {"filter_height": 2, "filter_width": 3}, 48),
        ("RESHAPE", [(1, 6), (2,)], [(2, 3)], {}, 0),
        ("CONCATENATION", [(1, 6), (1, 6)], [(1, 12)], {}, 0),
    ],
)
def test_other_operations(draft, op, inputs, outputs, options, ops):
    result = work(draft, op, inputs, outputs, **options)
    assert (result.macs, result.ops, result.reason) == (0, ops, None)


@pytest.mark.parametrize(
    ("op", "inputs", "reason"),
    [
        ("WHILE", [(1,)], "known only at run time"),
        ("CUSTOM", [(1,)], "its own kernel"),
        ("BUILTIN_4000", [(1,)], "no formula for BUILTIN_4000"),
        ("CONV_2D", [(1, 5, 5, 4)], "not those that TFLite documents"),
        ("CONV_2D", [(1, 5, 5, 4), None], "not those that TFLite documents"),
        ("CONV_2D", [(1, 5, 5, 4), (3, 3)], "not those that TFLite documents"),
    ],
)
def test_what_cannot_be_counted_is_none(draft, op, inputs, reason):
    result = work(draft, op, inputs, [(1, 5, 5, 8)])
    assert result.macs is None
    assert result.ops is None
    assert reason in result.reason


def test_an_operator_without_outputs_does_not_crash(draft):
    assert work(draft, "CONV_2D", [(1, 5, 5, 4), (8, 3, 3, 4)], []).macs is None
