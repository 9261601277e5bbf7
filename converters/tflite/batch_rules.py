"""How each operator passes the batch on: one small rule an operator.

Rules:
    * A rule refuses unless samples stay apart and the batch stays in front. What has no rule is refused too:
      a wrong batch gives wrong numbers without any error.
    * A rule returns the constants that spell the batch out, with their new values.

Source: shape rules as in the TFLite operator kernels' `Prepare` functions (one kernel file an operator).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edgepack.converters.errors import UnsupportedOpError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from edgepack.converters.graph import Graph, Operator, Tensor


@dataclass(frozen=True, eq=False)
class NewOperand:
    """A constant operand to replace.

    Attributes:
        operator: Index of the operator.
        position: Which of its inputs.
        values: int32 or int64 [n], the new constant.
    """

    operator: int
    position: int
    values: NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One operator on the way of the batch."""

    graph: Graph
    operator: Operator
    inputs: tuple[Tensor | None, ...]
    batched: tuple[bool, ...]
    old: int
    new: int

    @property
    def leader(self) -> Tensor:
        """The first input that carries the batch."""
        return next(
            t for t, carries in zip(self.inputs, self.batched, strict=True) if carries and t is not None
        )

    def refusal(self, why: str) -> UnsupportedOpError:
        """Return the error that names the operator and why the batch cannot pass it."""
        where = f"operator {self.operator.index} ({self.operator.label})"
        msg = f"{self.graph.source}: the batch cannot be set to {self.new}: {where} {why}."
        remedy = f"Convert the model anew with batch {self.new}, or keep batch {self.old}."
        return UnsupportedOpError(msg, remedy=remedy)

    def need(self, holds: bool, why: str) -> None:
        """Refuse unless a condition holds."""
        if not holds:
            raise self.refusal(why)

    def constant(self, position: int) -> NDArray[Any]:
        """Return a constant operand of whole numbers, flat and not empty, or refuse."""
        tensor = self.inputs[position] if position < len(self.inputs) else None
        data = None if tensor is None else tensor.data
        if data is None:
            why = f"takes input {position} at run time"
            raise self.refusal(why)
        self.need(data.dtype.kind == "i" and data.size > 0, f"has no whole numbers at input {position}")
        return data.reshape(-1)

    def with_leading(self, position: int) -> tuple[NewOperand, ...]:
        """Return operand `position` with the new batch in front."""
        values = self.constant(position).copy()
        values[0] = self.new
        return (NewOperand(self.operator.index, position, values),)


Rule: TypeAlias = Callable[[Step], tuple[NewOperand, ...]]


def _per_sample(step: Step) -> tuple[NewOperand, ...]:
    """One batched input in front, samples apart; other inputs are weights or settings."""
    step.need(sum(step.batched) == 1 and step.batched[0], "takes the batch at more than its first input")
    step.need(len(step.leader.shape) >= 2, "takes a tensor that has no dimension besides the batch")
    return ()


def _elementwise(step: Step) -> tuple[NewOperand, ...]:
    """Broadcasting: an input that does not carry the batch must be equal for every sample."""
    rank = len(step.leader.shape)
    for tensor, carries in zip(step.inputs, step.batched, strict=True):
        shape = () if tensor is None else tensor.shape
        step.need(len(shape) <= rank, "broadcasts over more dimensions than the batched input has")
        if carries:
            step.need(len(shape) == rank, "broadcasts two batched inputs of different rank")
        elif len(shape) == rank:
            step.need(shape[0] == 1, f"takes a constant {list(shape)} that differs between samples")
    return ()


def _reshape(step: Step) -> tuple[NewOperand, ...]:
    _per_sample_or_flat(step)
    if len(step.inputs) < 2:
        return ()
    shape = step.inputs[1]
    if shape is None or not shape.is_constant:
        return ()  # worked out at run time from the shape of the input
    values = step.constant(1)
    if values[0] == -1:
        return ()
    step.need(int(values[0]) == step.old, f"has the constant shape {values.tolist()}")
    return step.with_leading(1)


def _per_sample_or_flat(step: Step) -> tuple[NewOperand, ...]:
    step.need(sum(step.batched) == 1 and step.batched[0], "takes the batch at more than its first input")
    return ()


def _axis(step: Step, axes: ArrayLike, rank: int) -> tuple[NewOperand, ...]:
    positions = {int(a) % max(rank, 1) for a in np.atleast_1d(np.asarray(axes))}
    step.need(0 not in positions, "works along the batch")
    return ()


def _axis_operand(position: int, data: int = 0, extra: int = 0) -> Rule:
    """The axis is a constant operand; the batch must come in at `data` and stand elsewhere."""

    def rule(step: Step) -> tuple[NewOperand, ...]:
        step.need(sum(step.batched) == 1 and step.batched[data], "takes the batch where a setting stands")
        return _axis(step, step.constant(position), len(step.leader.shape) + extra)

    return rule


def _joined(extra: int) -> Rule:
    """CONCATENATION and PACK: all inputs carry the batch, the axis (an option) is another."""

    def rule(step: Step) -> tuple[NewOperand, ...]:
        step.need(all(step.batched), "joins batched inputs with others")
        return _axis(step, step.operator.options.get("axis", 0), len(step.leader.shape) + extra)

    return rule


def _unpack(step: Step) -> tuple[NewOperand, ...]:
    return _axis(step, step.operator.options.get("axis", 0), len(step.leader.shape))


def _pad(step: Step) -> tuple[NewOperand, ...]:
    _per_sample_or_flat(step)
    step.need(not step.constant(1)[:2].any(), "pads the batch")
    return ()


def _first_is(value: int, why: str) -> Rule:
    def rule(step: Step) -> tuple[NewOperand, ...]:
        _per_sample_or_flat(step)
        step.need(int(step.constant(1)[0]) == value, why)
        return ()

    return rule


def _squeeze(step: Step) -> tuple[NewOperand, ...]:
    dimensions = step.operator.options.get("squeeze_dims", ())
    step.need(bool(dimensions) or step.old != 1, "squeezes every dimension of size 1, the batch too")
    step.need(bool(dimensions) or step.new != 1, "would squeeze the batch")
    return _axis(step, dimensions, len(step.leader.shape)) if dimensions else ()


def _slice(step: Step) -> tuple[NewOperand, ...]:
    _per_sample_or_flat(step)
    begin, size = step.constant(1), step.constant(2)
    step.need(int(begin[0]) == 0 and int(size[0]) in (-1, step.old), "takes a part of the batch")
    return () if int(size[0]) == -1 else step.with_leading(2)


def _strided_slice(step: Step) -> tuple[NewOperand, ...]:
    _per_sample_or_flat(step)
    options = step.operator.options
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    step.need(not any(options.get(m, 0) & 1 for m in masks), "drops or moves the batch")
    whole_begin = bool(options.get("begin_mask", 0) & 1) or int(step.constant(1)[0]) == 0
    step.need(whole_begin and int(step.constant(3)[0]) == 1, "takes a part of the batch")
    if options.get("end_mask", 0) & 1:
        return ()
    step.need(int(step.constant(2)[0]) == step.old, "takes a part of the batch")
    return step.with_leading(2)


def _transpose_conv(step: Step) -> tuple[NewOperand, ...]:
    step.need(step.batched[2] and sum(step.batched) == 1, "takes the batch elsewhere than at input 2")
    step.need(int(step.constant(0)[0]) == step.old, "has an output shape that does not lead with the batch")
    return step.with_leading(0)


def _batch_matmul(step: Step) -> tuple[NewOperand, ...]:
    ranks = [len(t.shape) for t in step.inputs if t is not None]
    if step.batched[0] and not step.batched[1] and ranks[1] == 2 and not step.operator.options.get("adj_x"):
        return ()
    step.need(min(ranks) >= 3 and len(set(ranks)) == 1, "multiplies along the batch")
    return _elementwise(step)


def _gather(step: Step) -> tuple[NewOperand, ...]:
    _per_sample_or_flat(step)
    step.need(step.operator.options.get("batch_dims", 0) == 0, "gathers along the batch")
    return _axis(step, step.operator.options.get("axis", 0), len(step.leader.shape))


def _nothing(step: Step) -> tuple[NewOperand, ...]:
    del step
    return ()


_ELEMENTWISE = (
    "ABS", "ADD", "ADD_N", "ATAN2", "CAST", "CEIL", "COS", "DEQUANTIZE", "DIV", "ELU", "EQUAL", "EXP",
    "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GELU", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "LEAKY_RELU",
    "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "MAXIMUM",
    "MINIMUM", "MUL", "NEG", "NOT_EQUAL", "POW", "PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1",
    "RELU_N1_TO_1", "ROUND", "RSQRT", "SELECT_V2", "SIGN", "SIN", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    "SUB", "TANH", "ZEROS_LIKE",
)  # fmt: skip
_PER_SAMPLE = (
    "AVERAGE_POOL_2D", "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "FULLY_CONNECTED",
    "L2_NORMALIZATION", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOG_SOFTMAX", "MAX_POOL_2D",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX", "SPACE_TO_DEPTH", "TOPK_V2",
)  # fmt: skip
_REDUCE = (
    "ARG_MAX", "ARG_MIN", "CUMSUM", "MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN",
    "REDUCE_PROD", "SUM",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_PER_SAMPLE, _per_sample),
    **dict.fromkeys(_REDUCE, _axis_operand(1)),
    **dict.fromkeys(("MIRROR_PAD", "PAD", "PADV2"), _pad),
    "BATCH_MATMUL": _batch_matmul,
    "CONCATENATION": _joined(extra=0),
    "EXPAND_DIMS": _axis_operand(1, extra=1),
    "GATHER": _gather,
    "PACK": _joined(extra=1),
    "RESHAPE": _reshape,
    "SHAPE": _nothing,
    "SLICE": _slice,
    "SPLIT": _axis_operand(0, data=1),
    "SPLIT_V": _axis_operand(2),
    "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _first_is(1, "repeats the batch"),
    "TRANSPOSE": _first_is(0, "moves the batch"),
    "TRANSPOSE_CONV": _transpose_conv,
    "UNPACK": _unpack,
}
