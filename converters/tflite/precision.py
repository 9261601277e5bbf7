"""At which precision a `.tflite` computes: decides whether a user's file is quantized already.

The answer comes from the operators that multiply weights, for those are what quantization changes: an int8
model with float inputs and outputs is still int8, and a "float" file whose weights are int8 is not float.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edgepack.converters.graph import DTYPE_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.converters.graph import Graph, Subgraph, Tensor

# Operators that multiply and accumulate against weights.
WEIGHTED_OPS = frozenset(
    {
        "BATCH_MATMUL", "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "CONV_2D", "CONV_3D",
        "CONV_3D_TRANSPOSE", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LSTM", "RNN", "SVDF", "TRANSPOSE_CONV",
        "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
    }
)  # fmt: skip
_FLOAT = ("float32", "float16", "bfloat16", "float64")
_QUANTIZED = ("int8", "uint8", "int16")
_WEIGHTS_BY_FLOAT_ACTIVATIONS = {32: "float32", 16: "float16", 8: "dynamic-int8", 4: "int4", 2: "int2"}


def precision_of(graph: Graph) -> str:
    """Return the precision that a model computes at.

    Converters leave small or stubborn weights wide, so the narrowest weights name the model if they are at
    least half of all.

    Returns:
        "float32", "float16" or "dynamic-int8" (float activations), "int8", "uint8" or "int16x8" (integer
        activations), "int4" or "int2" (weights that narrow, under either kind of activations), or "mixed":
        some layers compute in float and others in integers, or fewer than half of the weights are narrow.
    """
    elements: Counter[tuple[str, int]] = Counter()
    for subgraph in graph.subgraphs:
        for activation, weight in _weights(subgraph):
            elements[activation, DTYPE_BITS[weight.dtype]] += weight.elements
    if not elements:
        return _without_weights(graph)
    activations = {activation for activation, _ in elements}
    narrowest = min(bits for _, bits in elements)
    narrow = sum(count for (_, bits), count in elements.items() if bits == narrowest)
    if 2 * narrow < elements.total():
        return "mixed"
    if activations <= set(_FLOAT):
        return _WEIGHTS_BY_FLOAT_ACTIVATIONS.get(narrowest, "mixed")
    if len(activations) > 1:
        return "mixed"
    if narrowest < 8:
        return f"int{narrowest}"
    return {"int8": "int8", "uint8": "uint8", "int16": "int16x8"}.get(activations.pop(), "mixed")


def _weights(subgraph: Subgraph) -> Iterator[tuple[str, Tensor]]:
    """Yield (type of the activations, weights) of each operator that multiplies weights."""
    producers = subgraph.producers()
    for operator in subgraph.operators:
        if operator.op not in WEIGHTED_OPS or not operator.outputs:
            continue
        activation = subgraph.tensors[operator.outputs[0]].dtype
        for index in operator.inputs:
            weight = subgraph.stored_weight(index, producers)
            if weight is not None and len(weight.shape) >= 2 and weight.dtype in DTYPE_BITS:
                yield activation, weight


def _without_weights(graph: Graph) -> str:
    """Return the precision of a model that multiplies no weights, from its activations alone."""
    types = {t.dtype for t in graph.tensors if not t.is_constant and t.dtype in (*_FLOAT, *_QUANTIZED)}
    if len(types) != 1:
        return "mixed" if types else "float32"
    only = types.pop()
    return {"int16": "int16x8", "bfloat16": "float16", "float64": "float32"}.get(only, only)
