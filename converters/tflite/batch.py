"""Decides how a model's batch can be changed: a plan, from a `Graph` alone, that `set_batch` carries out.

The batch is the leading dimension of every input. It is followed operator by operator, by the rules of
`batch_rules.py`, from the inputs to the outputs; what it does not reach stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.tflite.batch_rules import RULES, NewOperand, Step

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph


@dataclass(frozen=True)
class BatchPlan:
    """What to change for another batch.

    Attributes:
        old: The batch of the model.
        new: The batch wanted.
        batched: Indices of the tensors whose leading dimension is the batch, in order.
        operands: Constants that spell the batch out.
        reshapes: Indices of RESHAPE operators whose options may spell it out as well.
    """

    old: int
    new: int
    batched: tuple[int, ...]
    operands: tuple[NewOperand, ...]
    reshapes: tuple[int, ...]


def plan_batch(graph: Graph, batch: int) -> BatchPlan:
    """Return what must change for another batch.

    Raises:
        ConversionError: `batch` is below 1, or the inputs do not share a leading dimension.
        UnsupportedOpError: An operator mixes samples, or edgepack has no rule that says it does not.
    """
    old = _current_batch(graph)
    if batch < 1:
        msg = f"{graph.source}: batch {batch}, expected 1 or more."
        raise ConversionError(msg, remedy="Give a batch of 1 or more.")
    batched, operands, reshapes = set(graph.main.inputs), list[NewOperand](), []
    for operator in graph.operators if batch != old else ():
        flags = tuple(index in batched for index in operator.inputs)
        if not any(flags):
            continue
        step = Step(graph, operator, graph.main.input_tensors(operator), flags, old, batch)
        rule = RULES.get(operator.op)
        if rule is None:
            why = "has no rule that keeps samples apart"
            raise step.refusal(why)
        try:
            operands += rule(step)
        except IndexError as err:
            why = "does not have the operands that TFLite documents for it"
            raise step.refusal(why) from err
        if operator.op == "SHAPE":
            continue
        for tensor in graph.main.output_tensors(operator):
            leads = tensor.shape[:1] == (old,)
            step.need(leads, f"gives {list(tensor.shape)}, which does not lead with {old}")
        batched.update(operator.outputs)
        reshapes += [operator.index] if operator.op == "RESHAPE" else []
    return BatchPlan(old, batch, tuple(sorted(batched)), tuple(operands), tuple(reshapes))


def _current_batch(graph: Graph) -> int:
    leading = {tensor.shape[:1] for tensor in graph.inputs}
    if len(leading) != 1 or leading & {(), (0,)}:
        shapes = ", ".join(f"'{t.name}' {list(t.shape)}" for t in graph.inputs) or "none"
        msg = f"{graph.source}: the inputs do not share a leading dimension: {shapes}."
        raise ConversionError(msg, remedy="Convert the model anew with the batch that you want.")
    return leading.pop()[0]
