from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.analyze.memory import activation_memory


def test_a_residual_keeps_three_tensors_alive(draft):
    x, a, b, y = (draft.add((size,), "int8") for size in (100, 200, 300, 50))
    draft.op("RELU", [x], [a]).op("RELU", [a], [b]).op("ADD", [b, x], [y])
    memory = activation_memory(draft.graph([x], [y]))
    assert memory.peak_bytes == 600  # x waits for the ADD while a becomes b
    assert memory.peak_operator == 1
    assert [(t.index, t.size_bytes) for t in memory.peak_tensors] == [(b, 300), (a, 200), (x, 100)]


def test_an_output_stays_to_the_end(draft):
    x, early, z = draft.add((10,), "int8"), draft.add((70,), "int8"), draft.add((40,), "int8")
    draft.op("RELU", [x], [early]).op("RELU", [x], [z])
    assert activation_memory(draft.graph([x], [early, z])).peak_bytes == 120
    assert activation_memory(draft.graph([x], [z])).peak_bytes == 80


def test_constants_and_state_are_no_activations(draft):
    x, y = draft.add((4,)), draft.add((4,))
    weights, state = draft.add((1000,), constant=True), draft.add((25,), variable=True)
    draft.op("SVDF", [x, weights, weights, -1, state], [y])
    memory = activation_memory(draft.graph([x], [y]))
    assert (memory.peak_bytes, memory.state_bytes) == (32, 100)


def test_resource_variables_count_once_by_name(draft, new_draft):
    handle, value = draft.add((), "resource"), draft.add((30,), "int8")
    draft.op("VAR_HANDLE", [], [handle], container="", shared_name="ring")
    draft.op("READ_VARIABLE", [handle], [value])
    init = new_draft(1)
    other, zeros = init.add((), "resource"), init.add((30,), "int8", constant=True)
    init.op("VAR_HANDLE", [], [other], container="", shared_name="ring")
    init.op("ASSIGN_VARIABLE", [other, zeros], [])
    memory = activation_memory(draft.graph([], [value], init.subgraph()))
    assert memory.state_bytes == 30
    assert memory.peak_bytes == 30


def test_widened_weights_stand_apart(draft):
    """A float16 model widens its weights once; that memory is no activation, but it is needed."""
    x, w16 = draft.add((1, 8)), draft.add((4, 8), "float16", constant=True)
    w32, y = draft.add((4, 8)), draft.add((1, 4))
    draft.op("DEQUANTIZE", [w16], [w32]).op("FULLY_CONNECTED", [x, w32, -1], [y])
    memory = activation_memory(draft.graph([x], [y]))
    assert memory.peak_bytes == 48
    assert memory.dequantized_weight_bytes == 128


def test_a_model_without_operators(draft):
    x = draft.add((5,), "int8")
    memory = activation_memory(draft.graph([x], [x]))
    assert (memory.peak_bytes, memory.peak_operator) == (5, None)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=10)
)
def test_the_sweep_agrees_with_counting_each_step(new_draft, layers):
    """Oracle: at each operator, add up every tensor that is written by then and still needed."""
    draft = new_draft()
    x = draft.add((7,), "int8")
    for size, back in layers:
        known = list(range(len(draft.tensors)))
        draft.op("ADD_N", [known[-1 - (b % len(known))] for b in back], [draft.add((size,), "int8")])
    last = len(draft.tensors) - 1
    graph = draft.graph([x], [last])
    totals = []
    for step in range(len(graph.operators)):
        written = {x} | {op.outputs[0] for op in graph.operators[: step + 1]}
        needed = {i for op in graph.operators[step:] for i in (*op.inputs, *op.outputs)} | {last}
        used = {i for op in graph.operators for i in op.inputs}
        fresh = {x} - used if step == 0 else set()  # an input nobody reads is there at the start
        totals.append(sum(graph.tensors[i].size_bytes for i in (written & needed) | fresh))
    assert activation_memory(graph).peak_bytes == max(totals)
