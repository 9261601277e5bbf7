"""Which operators of the model the timed pieces of a profile belong to.

The runtime names the operators that it runs itself. A delegate reports its own kernels, in the order they
run: XNNPACK makes a GEMM of a 1x1 convolution, adds reshapes and clamps, and fuses padding and activations.

Rules:
    * Kernels are laid along the delegated operators in order, by the alignment with the highest score: a
      kernel that computes what an operator says counts most, a helper (reshape, convert, pad, clamp) little.
    * An operator may have several kernels; their times add up, and their errors too, as they share a clock.
    * An operator without any has no time of its own: it was fused into a neighbour, or removed.
    * A kernel that fits nowhere stays apart. Its time is never given to some operator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.converters.graph import Graph, Operator

# Kernels of XNNPACK by the beginning of their name, letters only, and what they may compute.
# Source: XNNPACK `src/operators`, xnn_operator_type_to_string; TFLite `xnnpack_delegate.cc`.
_COMPUTES: dict[str, tuple[str, ...]] = {
    "argmax": ("ARG_MAX",),
    "averagepooling": ("AVERAGE_POOL_2D", "MEAN"),
    "globalaveragepooling": ("AVERAGE_POOL_2D", "MEAN"),
    "batchmatrixmultiply": ("BATCH_MATMUL",),
    "clamp": ("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"),
    "concatenate": ("CONCATENATION",),
    "constantpad": ("PAD", "PADV2"),
    "convert": ("QUANTIZE", "DEQUANTIZE", "CAST"),
    "convolution": ("CONV_2D", "DEPTHWISE_CONV_2D"),
    "copy": ("RESHAPE", "CONCATENATION", "EXPAND_DIMS", "SQUEEZE", "SPLIT", "SLICE", "STRIDED_SLICE"),
    "deconvolution": ("TRANSPOSE_CONV",),
    "dynamicfullyconnected": ("FULLY_CONNECTED", "BATCH_MATMUL"),
    "fullyconnected": ("FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL"),
    "max": ("MAXIMUM", "REDUCE_MAX"),
    "maximum": ("MAXIMUM",),
    "maxpooling": ("MAX_POOL_2D",),
    "mean": ("MEAN", "AVERAGE_POOL_2D"),
    "minimum": ("MINIMUM",),
    "multiply": ("MUL",),
    "negate": ("NEG",),
    "reciprocalsquareroot": ("RSQRT",),
    "reduce": ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "AVERAGE_POOL_2D"),
    "resizebilinear": ("RESIZE_BILINEAR",),
    "sigmoid": ("LOGISTIC",),
    "slice": ("SLICE", "STRIDED_SLICE", "SPLIT"),
    "squareroot": ("SQRT",),
    "staticreshape": ("RESHAPE", "EXPAND_DIMS", "SQUEEZE"),
    "subconvolution": ("TRANSPOSE_CONV",),
    "subtract": ("SUB",),
    "transpose": ("TRANSPOSE",),
}
_HELPERS = ("constantpad", "convert", "copy", "packlh", "reduce", "staticreshape", "transpose")
_AFTERWARDS = ("clamp",)
# Operators that cost little to leave without a kernel: a delegate fuses or drops them.
_FUSED_AWAY = {
    "CAST", "DEQUANTIZE", "EXPAND_DIMS", "PAD", "PADV2", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1",
    "RELU_N1_TO_1", "RESHAPE", "SQUEEZE", "TRANSPOSE",
}  # fmt: skip
_FIRST_CHOICE, _OTHER_CHOICE = 10.0, 8.0
_HELPER, _LATE_HELPER, _APART = -0.5, -0.6, -4.0
_DROPPED, _LOST = -0.5, -8.0
_MAX_CELLS = 1_000_000

_State: TypeAlias = "tuple[int, bool, int]"


class TimedPiece(Protocol):
    """What a profile says of a piece; `results/profile_record.py` describes the fields."""

    @property
    def index(self) -> int | None:
        """The operator's index; None for a kernel."""

    @property
    def name(self) -> str:
        """Kind of operator, or name of the kernel."""

    @property
    def time_ns(self) -> float:
        """Time of one execution."""

    @property
    def error_ns(self) -> float:
        """How far off that may be."""


@dataclass(frozen=True)
class OperatorTiming:
    """The time of one operator of the model.

    Attributes:
        index: Its index in the main subgraph.
        time_ns: Time of one execution; None where nothing was timed for it: it was fused or removed.
        error_ns: How far off that may be; None where `time_ns` is.
        kernels: What it became, by the runtime's names; one name of its own where no delegate took it.
    """

    index: int
    time_ns: float | None
    error_ns: float | None
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class Attribution:
    """All timed pieces, by operator.

    Attributes:
        operators: One entry an operator, in execution order.
        apart: Names of kernels that fit no operator.
        apart_ns: Their time.
    """

    operators: tuple[OperatorTiming, ...]
    apart: tuple[str, ...]
    apart_ns: float


def attribute(graph: Graph, pieces: Sequence[TimedPiece]) -> Attribution:
    """Return the times of a profile by operator of the model that was profiled."""
    mine: dict[int, list[TimedPiece]] = {}
    apart = [piece for piece in pieces if piece.index is not None and piece.index >= len(graph.operators)]
    for piece in pieces:
        if piece.index is not None and piece.index < len(graph.operators):
            mine.setdefault(piece.index, []).append(piece)
    delegated = [operator for operator in graph.operators if operator.index not in mine]
    kernels = [piece for piece in pieces if piece.index is None]
    for piece, index in zip(kernels, _align(delegated, [piece.name for piece in kernels]), strict=True):
        if index is None:
            apart.append(piece)
        else:
            mine.setdefault(index, []).append(piece)
    return Attribution(
        operators=tuple(_timing(each.index, mine.get(each.index, [])) for each in graph.operators),
        apart=tuple(piece.name for piece in apart),
        apart_ns=sum(piece.time_ns for piece in apart),
    )


def _timing(index: int, pieces: Sequence[TimedPiece]) -> OperatorTiming:
    if not pieces:
        return OperatorTiming(index, None, None, ())
    time_ns, error_ns = sum(p.time_ns for p in pieces), sum(p.error_ns for p in pieces)
    return OperatorTiming(index, time_ns, error_ns, tuple(piece.name for piece in pieces))


def _align(operators: Sequence[Operator], kernels: Sequence[str]) -> list[int | None]:
    """Return the operator of each kernel, by the alignment in order that scores highest; None for none.

    A state is (i, done, j): operators before `i` are finished, kernels before `j` are placed, and operator
    `i` has, or has not, what computes it.
    """
    if not kernels or len(operators) * len(kernels) > _MAX_CELLS:
        return [None] * len(kernels)
    best: dict[_State, tuple[float, _State | None, int | None]] = {(0, False, 0): (0.0, None, None)}
    for i in range(len(operators) + 1):
        for j in range(len(kernels) + 1):
            for done in (False, True):
                here = (i, done, j)
                if here not in best:
                    continue
                for state, gain, owner in _steps(operators, kernels, here):
                    score = best[here][0] + gain
                    if state not in best or score > best[state][0]:
                        best[state] = (score, here, owner)
    owners: list[int | None] = []
    place: _State | None = (len(operators), False, len(kernels))
    while place is not None:
        _, before, owner = best[place]
        if before is not None and before[2] < place[2]:
            owners.append(owner)
        place = before
    return owners[::-1]


def _steps(
    operators: Sequence[Operator], kernels: Sequence[str], here: _State
) -> Iterator[tuple[_State, float, int | None]]:
    """Yield where an alignment can go on: the next state, its gain, and the operator that gets kernel `j`."""
    i, done, j = here
    operator = operators[i] if i < len(operators) else None
    if operator is not None:
        lost = 0.0 if done else _DROPPED if operator.op in _FUSED_AWAY else _LOST
        yield (i + 1, False, j), lost, None
    if j == len(kernels):
        return
    after = (i, done, j + 1)
    yield after, _APART, None
    if operator is None:
        return
    kind = _kind(kernels[j])
    if not done and (gain := _fit(operator.op, kind, kernels[j])):
        yield (i, True, j + 1), gain, operator.index
    computing = done or operator.op not in _FUSED_AWAY  # what is dropped needs no help
    if (kind in _HELPERS and computing) or (kind in _AFTERWARDS and done):
        yield after, _LATE_HELPER if done and kind in _HELPERS else _HELPER, operator.index


def _kind(kernel: str) -> str:
    """Return the first words of a kernel's name, letters only: "Fully Connected (NC, F32) GEMM"."""
    return re.sub(r"[^a-z]", "", kernel.partition("(")[0].lower())


def _fit(op: str, kind: str, kernel: str) -> float:
    """Return what it is worth that a kernel computes an operator; 0 where it does not."""
    if op.replace("_", "").lower() == kind:
        return _FIRST_CHOICE
    computes = _COMPUTES.get(kind, ())
    if op not in computes:
        return 0.0
    first = computes[0]
    if kind == "convolution" and "DWConv" in kernel:
        first = "DEPTHWISE_CONV_2D"
    return _FIRST_CHOICE if op == first else _OTHER_CHOICE
