"""What a model costs, operator by operator: arithmetic, parameters, bytes moved, memory.

Rules:
    * All figures are counted from shapes and types, for one inference of the main subgraph; none is measured.
    * A parameter is a constant that is learnt (weights, biases, tables); shapes, axes and paddings are not.
    * Constants are counted as the file stores them; one that several operators share is counted once in the
      totals, and at each of its readers in the rows.
    * What could not be counted stands in `uncounted`, in words, and is missing from the totals. A free batch
      counts as 1 without a word; any other free dimension is named there.

    read_graph ──> analyze ──> fit, `edgepack inspect`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.converters.tflite.precision import WEIGHTED_OPS
from edgepack.toolchain.analyze.macs import Arithmetic, arithmetic_of
from edgepack.toolchain.analyze.memory import ActivationMemory, activation_memory, is_weight_widening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.converters.graph import Graph, Operator, Subgraph, Tensor

_OUTPUT_SHAPE_FIRST = ("CONV_3D_TRANSPOSE", "TRANSPOSE_CONV")
_TABLES = {"EMBEDDING_LOOKUP": 1, "GATHER": 0, "GATHER_ND": 0}
_SETTING_TYPES = ("bool", "int32", "int64", "resource", "string", "uint32", "uint64", "variant")


@dataclass(frozen=True)
class OperatorCost:
    """What one operator costs for one inference.

    Attributes:
        index: Its place in execution order.
        op: Its name, such as "CONV_2D", or a custom operator's own.
        name: Name of its first output tensor.
        input_shapes: Shapes of the present inputs that are not constant.
        output_shapes: Shapes of the outputs.
        macs: Multiply-accumulates; None where unknown.
        ops: Other scalar operations; None where unknown.
        unknown_reason: Why `macs` or `ops` is None; None otherwise.
        parameters: Number of learnt constants that it reads.
        weight_bytes: Bytes of these in the file.
        read_bytes: Bytes of activations and constants read.
        written_bytes: Bytes of activations written.
    """

    index: int
    op: str
    name: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    macs: int | None
    ops: int | None
    unknown_reason: str | None
    parameters: int
    weight_bytes: int
    read_bytes: int
    written_bytes: int

    @property
    def arithmetic_intensity(self) -> float | None:
        """MACs per byte moved; None where the MACs are unknown or nothing is moved.

        Source: Williams, Waterman, Patterson, "Roofline", CACM 2009 (operational intensity, here per MAC).
        """
        moved = self.read_bytes + self.written_bytes
        return None if self.macs is None or not moved else self.macs / moved


@dataclass(frozen=True)
class ModelCost:
    """What a model costs for one inference.

    Attributes:
        operators: One row an operator, in execution order.
        macs: Sum of the known MACs.
        ops: Sum of the known other operations.
        parameters: Learnt constants of the whole file, each counted once.
        weight_bytes: Bytes of these in the file.
        read_bytes: Sum over the operators.
        written_bytes: Sum over the operators.
        memory: Activations and state.
        file_bytes: Size of the file.
        uncounted: What the totals leave out, and why; empty for most models.
    """

    operators: tuple[OperatorCost, ...]
    macs: int
    ops: int
    parameters: int
    weight_bytes: int
    read_bytes: int
    written_bytes: int
    memory: ActivationMemory
    file_bytes: int
    uncounted: tuple[str, ...]

    @property
    def peak_activation_bytes(self) -> int:
        """Sum of the live activations at the worst operator."""
        return self.memory.peak_bytes

    @property
    def peak_operator(self) -> OperatorCost | None:
        """The worst operator; None where the model has none."""
        index = self.memory.peak_operator
        return None if index is None else self.operators[index]

    @property
    def arithmetic_intensity(self) -> float | None:
        """MACs per byte moved; None where nothing is moved."""
        moved = self.read_bytes + self.written_bytes
        return self.macs / moved if moved else None


def analyze(graph: Graph) -> ModelCost:
    """Return what a model costs."""
    subgraph = graph.main
    producers = subgraph.producers()
    rows = tuple(_operator_cost(subgraph, operator, producers) for operator in subgraph.operators)
    distinct = {
        (weight.buffer, weight.shape): weight for each in graph.subgraphs for weight in _all_parameters(each)
    }
    return ModelCost(
        operators=rows,
        macs=sum(row.macs or 0 for row in rows),
        ops=sum(row.ops or 0 for row in rows),
        parameters=sum(weight.elements for weight in distinct.values()),
        weight_bytes=sum({w.buffer: w.stored_bytes for w in distinct.values()}.values()),
        read_bytes=sum(row.read_bytes for row in rows),
        written_bytes=sum(row.written_bytes for row in rows),
        memory=activation_memory(graph),
        file_bytes=graph.size_bytes,
        uncounted=tuple(_uncounted(graph, rows)),
    )


def _operator_cost(subgraph: Subgraph, operator: Operator, producers: Mapping[int, Operator]) -> OperatorCost:
    inputs = [t for t in subgraph.input_tensors(operator) if t is not None]
    outputs = subgraph.output_tensors(operator)
    once = is_weight_widening(subgraph, operator)
    weights = [] if once else list(_parameters(subgraph, operator, producers))
    work = Arithmetic(0, 0) if once else arithmetic_of(subgraph, operator)
    return OperatorCost(
        index=operator.index,
        op=operator.label,
        name=outputs[0].name if outputs else "",
        input_shapes=tuple(t.shape for t in inputs if not t.is_constant),
        output_shapes=tuple(t.shape for t in outputs),
        macs=work.macs,
        ops=work.ops,
        unknown_reason=work.reason,
        parameters=sum(weight.elements for weight in weights),
        weight_bytes=sum(weight.stored_bytes for weight in weights),
        read_bytes=0 if once else _read_bytes(subgraph, operator, producers),
        written_bytes=0 if once else sum(t.size_bytes or 0 for t in outputs),
    )


def _parameters(
    subgraph: Subgraph, operator: Operator, producers: Mapping[int, Operator]
) -> Iterator[Tensor]:
    """Yield the learnt constants among the inputs of an operator."""
    for position, index in enumerate(operator.inputs):
        stored = subgraph.stored_weight(index, producers)
        if stored is not None and _is_parameter(operator, position, stored):
            yield stored


def _is_parameter(operator: Operator, position: int, stored: Tensor) -> bool:
    if operator.op in WEIGHTED_OPS:
        return not (operator.op in _OUTPUT_SHAPE_FIRST and position == 0)
    return stored.dtype not in _SETTING_TYPES or stored.quantization is not None


def _all_parameters(subgraph: Subgraph) -> Iterator[Tensor]:
    producers = subgraph.producers()
    for operator in subgraph.operators:
        if not is_weight_widening(subgraph, operator):
            yield from _parameters(subgraph, operator, producers)


def _read_bytes(subgraph: Subgraph, operator: Operator, producers: Mapping[int, Operator]) -> int:
    """Bytes of the distinct inputs; of a table that is looked up, only what comes out."""
    total = 0
    for index in {i for i in operator.inputs if i >= 0}:
        stored = subgraph.stored_weight(index, producers)
        size = stored.stored_bytes if stored is not None else subgraph.tensors[index].size_bytes or 0
        table = _TABLES.get(operator.op)
        if table is not None and table < len(operator.inputs) and operator.inputs[table] == index:
            size = min(size, sum(t.size_bytes or 0 for t in subgraph.output_tensors(operator)))
        total += size
    return total


def _uncounted(graph: Graph, rows: tuple[OperatorCost, ...]) -> Iterator[str]:
    """Yield, in words, what the totals leave out."""
    for row in rows:
        if row.unknown_reason:
            yield f"operator {row.index} ({row.op}): {row.unknown_reason}"
    for tensor in graph.tensors:
        if tensor.size_bytes is None and tensor.dtype != "resource":
            yield f"tensor {tensor.index} '{tensor.name}': {tensor.dtype} has no fixed size"
    free = [tensor for tensor in graph.inputs if -1 in tensor.shape_signature[1:]]
    for tensor in free:
        yield f"input '{tensor.name}' {list(tensor.shape_signature)}: counted as {list(tensor.shape)}"
