"""Memory that a model needs at run time besides its weights, from the graph alone.

Rules:
    * A tensor lives from the operator that writes it (a graph input: from the start) to the last that reads
      it (a graph output: to the end). Operators run in the file's order, one at a time.
    * The peak is a lower bound for a runtime that keeps this order and does not work in place: padding of an
      arena, scratch buffers of kernels and the runtime's own tables come on top.
    * A free dimension counts as the 1 that TFLite writes for it.

Source: TFLite `arena_planner.cc` and TFLM `greedy_memory_planner.cc` for lifetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.converters.graph import Graph, Operator, Subgraph, Tensor


@dataclass(frozen=True)
class LiveTensor:
    """A tensor that is alive at the peak.

    Attributes:
        index: Index in the main subgraph.
        name: Its name.
        size_bytes: Its size.
    """

    index: int
    name: str
    size_bytes: int


@dataclass(frozen=True)
class ActivationMemory:
    """What activations and state take.

    Attributes:
        peak_bytes: Sum of the live activations at the worst operator.
        peak_operator: Index of that operator; None where the model has no operator.
        peak_tensors: The activations alive there, largest first.
        state_bytes: Variables that live between inferences, on top of the peak.
        dequantized_weight_bytes: Weights that the file stores narrow and a DEQUANTIZE widens once, when the
            model is loaded; on top of the peak. A runtime with native kernels for them needs less.
    """

    peak_bytes: int
    peak_operator: int | None
    peak_tensors: tuple[LiveTensor, ...]
    state_bytes: int
    dequantized_weight_bytes: int


def activation_memory(graph: Graph) -> ActivationMemory:
    """Return the memory that the main subgraph needs for activations and state."""
    subgraph = graph.main
    widened = {op.outputs[0] for op in subgraph.operators if is_weight_widening(subgraph, op)}
    spans = _lifetimes(subgraph, widened)
    steps = max(len(subgraph.operators), 1)
    change = [0] * (steps + 1)
    for index, (born, last) in spans.items():
        change[born] += _size(subgraph.tensors[index])
        change[last + 1] -= _size(subgraph.tensors[index])
    live = list(accumulate(change[:steps]))
    worst = max(range(steps), key=live.__getitem__)
    alive = [subgraph.tensors[i] for i, (born, last) in spans.items() if born <= worst <= last]
    alive.sort(key=lambda tensor: (-_size(tensor), tensor.index))
    return ActivationMemory(
        peak_bytes=live[worst],
        peak_operator=worst if subgraph.operators else None,
        peak_tensors=tuple(LiveTensor(t.index, t.name, _size(t)) for t in alive),
        state_bytes=_state_bytes(graph),
        dequantized_weight_bytes=sum(_size(subgraph.tensors[i]) for i in widened),
    )


def is_weight_widening(subgraph: Subgraph, operator: Operator) -> bool:
    """Whether an operator is a DEQUANTIZE of a constant, which runtimes evaluate once.

    Source: TFLite `dequantize.cc`: the output of a constant input is persistent and computed once.
    """
    if operator.op != "DEQUANTIZE" or not operator.inputs or not operator.outputs or operator.inputs[0] < 0:
        return False
    return subgraph.tensors[operator.inputs[0]].is_constant


def _lifetimes(subgraph: Subgraph, widened: set[int]) -> dict[int, tuple[int, int]]:
    """Return activation index to (first, last) operator at which it is alive."""
    end = max(len(subgraph.operators), 1) - 1
    spans = dict.fromkeys(subgraph.inputs, (0, 0))
    for operator in subgraph.operators:
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0:
                spans[index] = (spans.get(index, (operator.index, 0))[0], operator.index)
    for index in subgraph.outputs:
        spans[index] = (spans.get(index, (end, end))[0], end)
    return {
        index: span
        for index, span in spans.items()
        if index not in widened
        and not subgraph.tensors[index].is_constant
        and not subgraph.tensors[index].is_variable
    }


def _size(tensor: Tensor) -> int:
    """Bytes of a tensor; 0 for a handle or a type without a fixed width, which `analyze` notes."""
    return tensor.size_bytes or 0


def _state_bytes(graph: Graph) -> int:
    """Bytes of variable tensors, and of resource variables by their name."""
    variables = sum(_size(t) for subgraph in graph.subgraphs for t in subgraph.tensors if t.is_variable)
    resources: dict[str, int] = {}
    for subgraph in graph.subgraphs:
        for name, size in _resource_values(subgraph):
            resources[name] = max(size, resources.get(name, 0))
    return variables + sum(resources.values())


def _resource_values(subgraph: Subgraph) -> Iterator[tuple[str, int]]:
    """Yield (variable, bytes of a value that is read from or written to it)."""
    names: dict[int, str] = {}
    for operator in subgraph.operators:
        if operator.op == "VAR_HANDLE" and operator.outputs:
            options = operator.options
            names[operator.outputs[0]] = f"{options.get('container')}/{options.get('shared_name')}"
        elif operator.op == "READ_VARIABLE" and operator.inputs and operator.outputs:
            name = names.get(operator.inputs[0])
            yield name or "", _size(subgraph.tensors[operator.outputs[0]]) if name else 0
        elif operator.op == "ASSIGN_VARIABLE" and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
            name = names.get(operator.inputs[0])
            yield name or "", _size(subgraph.tensors[operator.inputs[1]]) if name else 0
