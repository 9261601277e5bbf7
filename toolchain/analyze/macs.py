"""Arithmetic of one operator, from shapes alone: multiply-accumulates, and other scalar operations.

Rules:
    * A MAC is one multiplication with its addition. Bias, fused activation and requantization do not count.
    * Padding is counted as if its zeros were multiplied, as is usual; a kernel that skips them does less.
    * Elementwise work and pooling is no MAC; it is counted apart as `ops`, one for each value made or summed.
      Moving data (RESHAPE, TRANSPOSE, CONCATENATION, …) is 0.
    * Where a count cannot be known it is None with the reason, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from edgepack.converters.graph import Operator, Subgraph, Tensor

    Inputs: TypeAlias = tuple[Tensor | None, ...]
    Outputs: TypeAlias = tuple[Tensor, ...]
    Formula: TypeAlias = Callable[[Operator, Inputs, Outputs], int]


@dataclass(frozen=True)
class Arithmetic:
    """Scalar work of one operator for one inference.

    Attributes:
        macs: Multiply-accumulates; None where unknown.
        ops: Other scalar operations; None where unknown.
        reason: Why a count is None; None otherwise.
    """

    macs: int | None
    ops: int | None
    reason: str | None = None


def arithmetic_of(subgraph: Subgraph, operator: Operator) -> Arithmetic:
    """Return the scalar work of an operator.

    An operator that lacks an operand its formula needs (a malformed model) has unknown counts.
    """
    inputs = subgraph.input_tensors(operator)
    outputs = subgraph.output_tensors(operator)
    if operator.op in _UNKNOWN:
        return Arithmetic(None, None, _UNKNOWN[operator.op])
    try:
        if operator.op in _MACS:
            return Arithmetic(_MACS[operator.op](operator, inputs, outputs), 0)
        if operator.op in _OPS:
            return Arithmetic(0, _OPS[operator.op](operator, inputs, outputs))
    except (_MissingOperandError, IndexError):
        return Arithmetic(None, None, "its operands are not those that TFLite documents for it")
    if operator.op in _MOVES:
        return Arithmetic(0, 0)
    return Arithmetic(None, None, f"edgepack has no formula for {operator.label}")


class _MissingOperandError(Exception):
    """An operand that a formula needs is absent."""


def _shape(tensors: Inputs, position: int) -> tuple[int, ...]:
    tensor = tensors[position]
    if tensor is None:
        raise _MissingOperandError
    return tensor.shape


def _conv_2d(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """N * OH * OW * OC * KH * KW * (IC / groups); weights OHWI carry IC / groups as their last dimension.

    Source: definition of convolution; TFLite `conv.cc` for the layout.
    """
    del operator
    _, kernel_h, kernel_w, channels = _ranked(_shape(inputs, 1), 4)
    return prod(outputs[0].shape) * kernel_h * kernel_w * channels


def _depthwise_conv_2d(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """N * OH * OW * OC * KH * KW; each output channel reads one input channel. Weights [1, KH, KW, OC].

    Source: TFLite `depthwise_conv.cc`.
    """
    del operator
    _, kernel_h, kernel_w, _ = _ranked(_shape(inputs, 1), 4)
    return prod(outputs[0].shape) * kernel_h * kernel_w


def _conv_3d(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """N * OD * OH * OW * OC * KD * KH * KW * IC; weights [KD, KH, KW, IC, OC].

    Source: TFLite `conv3d.cc`.
    """
    del operator
    return prod(outputs[0].shape) * prod(_ranked(_shape(inputs, 1), 5)[:4])


def _transpose_conv(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """N * IH * IW * IC * KH * KW * OC: each input value is spread over a kernel. Weights OHWI.

    Products that fall outside the output are counted too. Inputs: output shape, weights, data.

    Source: TFLite `transpose_conv.cc`, reference kernel.
    """
    del operator, outputs
    out_channels, kernel_h, kernel_w, _ = _ranked(_shape(inputs, 1), 4)
    return prod(_shape(inputs, 2)) * kernel_h * kernel_w * out_channels


def _conv_3d_transpose(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """N * ID * IH * IW * IC * KD * KH * KW * OC; weights [KD, KH, KW, OC, IC].

    Source: TFLite `conv3d_transpose.cc`.
    """
    del operator, outputs
    return prod(_shape(inputs, 2)) * prod(_ranked(_shape(inputs, 1), 5)[:4])


def _fully_connected(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """(input elements / I) * O * I = input elements * O; weights [O, I].

    Source: TFLite `fully_connected.cc`.
    """
    del operator, outputs
    return prod(_shape(inputs, 0)) * _ranked(_shape(inputs, 1), 2)[0]


def _batch_matmul(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """Output elements * K, where K is the contracted dimension of the left operand.

    Source: TFLite `batch_matmul.cc` (`adj_x` swaps the last two dimensions of the left operand).
    """
    return prod(outputs[0].shape) * _shape(inputs, 0)[-2 if operator.options.get("adj_x") else -1]


def _recurrent(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """Batch * time steps * elements of all weight matrices: each is multiplied by one vector a step.

    Weight matrices are the inputs of rank 2 that keep no state; peephole vectors, elementwise, are left out.

    Source: TFLite `lstm_eval.cc`, `kernel_utils.cc` (RnnBatchStep).
    """
    del operator, outputs
    data = _shape(inputs, 0)
    matrices = [t.shape for t in inputs[1:] if t is not None and not t.is_variable and len(t.shape) == 2]
    return prod(data[:-1]) * sum(prod(shape) for shape in matrices)


def _svdf(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    """Batch * (F * I + F * memory): a feature filter [F, I], then a time filter [F, memory].

    Source: TFLite `svdf.cc`; Nakkiran et al., "Compressing Deep Neural Networks Using a Rank-Constrained
    Topology", Interspeech 2015.
    """
    del operator, outputs
    return _shape(inputs, 0)[0] * (prod(_shape(inputs, 1)) + prod(_shape(inputs, 2)))


def _ranked(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    if len(shape) != rank:
        raise _MissingOperandError
    return shape


def _each_output(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    del operator, inputs
    return sum(prod(tensor.shape) for tensor in outputs)


def _each_input(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    del operator, outputs
    return prod(_shape(inputs, 0))


def _each_window(operator: Operator, inputs: Inputs, outputs: Outputs) -> int:
    del inputs
    window = operator.options.get("filter_height", 1) * operator.options.get("filter_width", 1)
    return prod(outputs[0].shape) * int(window)


_MACS: dict[str, Formula] = {
    "BATCH_MATMUL": _batch_matmul,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "BIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
    "CONV_2D": _conv_2d,
    "CONV_3D": _conv_3d,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "LSTM": _recurrent,
    "RNN": _recurrent,
    "SVDF": _svdf,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent,
}
_ELEMENTWISE = (
    "ABS", "ADD", "ADD_N", "ATAN2", "BITWISE_XOR", "BUCKETIZE", "CAST", "CEIL", "COS", "CUMSUM",
    "DEQUANTIZE", "DIV", "ELU", "EQUAL", "EXP", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GELU", "GREATER",
    "GREATER_EQUAL", "HARD_SWISH", "L2_NORMALIZATION", "LEAKY_RELU", "LESS", "LESS_EQUAL",
    "LOCAL_RESPONSE_NORMALIZATION", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC",
    "LOG_SOFTMAX", "MAXIMUM", "MINIMUM", "MUL", "MULTINOMIAL", "NEG", "NOT_EQUAL", "POW", "PRELU",
    "QUANTIZE", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "RELU", "RELU6", "RELU_0_TO_1",
    "RELU_N1_TO_1", "RESIZE_BILINEAR", "RIGHT_SHIFT", "ROUND", "RSQRT", "SELECT", "SELECT_V2", "SIGN",
    "SIN", "SOFTMAX", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SUB", "TANH",
)  # fmt: skip
_REDUCING = (
    "ARG_MAX", "ARG_MIN", "MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD",
    "SEGMENT_SUM", "SUM", "TOPK_V2", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_MIN",
    "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM",
)  # fmt: skip
_OPS: dict[str, Formula] = {
    **dict.fromkeys(_ELEMENTWISE, _each_output),
    **dict.fromkeys(_REDUCING, _each_input),
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), _each_window),
}
_MOVES = (
    "ASSIGN_VARIABLE", "BATCH_TO_SPACE_ND", "BITCAST", "BROADCAST_ARGS", "BROADCAST_TO", "CALL_ONCE",
    "CONCATENATION", "DEPTH_TO_SPACE", "DILATE", "DYNAMIC_UPDATE_SLICE", "EMBEDDING_LOOKUP",
    "EXPAND_DIMS", "FILL", "GATHER", "GATHER_ND", "MATRIX_DIAG", "MATRIX_SET_DIAG", "MIRROR_PAD",
    "ONE_HOT", "PACK", "PAD", "PADV2", "RANGE", "RANK", "READ_VARIABLE", "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE", "REVERSE_V2", "SCATTER_ND", "SHAPE", "SLICE",
    "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPARSE_TO_DENSE", "SPLIT", "SPLIT_V", "SQUEEZE",
    "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK", "VAR_HANDLE", "WHERE", "ZEROS_LIKE",
)  # fmt: skip
_RUN_TIME = "what it runs is known only at run time"
_UNKNOWN = {
    "CALL": _RUN_TIME,
    "CUSTOM": "a custom operator's work is known only to its own kernel",
    "IF": _RUN_TIME,
    "STABLEHLO_CASE": _RUN_TIME,
    "STABLEHLO_WHILE": _RUN_TIME,
    "WHILE": _RUN_TIME,
}
