"""A read-only view of a `.tflite`: what is in the file, in plain values, with no flatbuffer in sight.

Rules:
    * Everything is frozen. Operators name tensors by index within their own subgraph; -1 is an absent
      optional input.
    * Names are TFLite's own: operators ("CONV_2D"), options (`stride_h`, `fused_activation_function`),
      quantization (`scale`, `zero_point`, `quantized_dimension`). Types are spelled as NumPy does ("int8").
    * Constant data is decoded when it is asked for, and shares the file's memory wherever the type allows.

    read_graph(file) ──> Graph ──> verify, analyze (cost, fit), the microcontroller generator

`converters/tflite/reader.py` makes a `Graph`; nothing else does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Bits an element takes in a buffer; a type that is not here has no fixed width (string, resource, variant).
DTYPE_BITS: dict[str, int] = {
    "bool": 8, "int2": 2, "int4": 4, "int8": 8, "int16": 16, "int32": 32, "int64": 64,
    "uint4": 4, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64,
    "float8_e4m3fn": 8, "float8_e5m2": 8, "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64,
    "complex64": 64, "complex128": 128,
}  # fmt: skip
_PACKED = {"int2": (2, True), "int4": (4, True), "uint4": (4, False)}
_RAW = ("string", "resource", "variant", "float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True, eq=False)
class QuantParams:
    """Affine quantization of a tensor: `real = scale * (quantized - zero_point)`.

    Source: TFLite 8-bit quantization specification, "Signed integer vs unsigned integer".

    Attributes:
        scale: float32 [n]; n is 1 per tensor, or the size of `quantized_dimension` per channel. Empty for
            blockwise quantization, whose scales are the data of `scale_tensor`.
        zero_point: int64 [n].
        quantized_dimension: The dimension that `scale` runs along.
        block_size: Elements along `quantized_dimension` that share a scale; None unless blockwise.
        scale_tensor: Index of the tensor that holds the scales; None unless blockwise.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    quantized_dimension: int = 0
    block_size: int | None = None
    scale_tensor: int | None = None

    @property
    def per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.scale.size > 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a subgraph.

    Attributes:
        index: Its index in the subgraph.
        name: Its name in the file; may be empty, and need not be unique.
        shape: The shape that memory is planned for; a free dimension stands as 1 here, as TFLite writes it.
        shape_signature: The shape with -1 at free dimensions; equal to `shape` where the file has none.
        dtype: "float32", "int8", "int4", "string", ….
        quantization: None where the tensor is not quantized.
        is_variable: Whether it keeps its value between inferences.
        is_sparse: Whether its constant data is stored compressed.
        buffer: Index of its buffer in the file; tensors that share one share their data.
        stored: uint8 [n], the bytes in the file; None where the tensor is not constant.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: str
    quantization: QuantParams | None = None
    is_variable: bool = False
    is_sparse: bool = False
    buffer: int = 0
    stored: NDArray[np.uint8] | None = field(default=None, repr=False)

    @property
    def is_constant(self) -> bool:
        """Whether the file holds the tensor's data."""
        return self.stored is not None

    @property
    def elements(self) -> int:
        """Number of elements of `shape`; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the dense tensor, packed as TFLite packs it; None for a type without a fixed width."""
        bits = DTYPE_BITS.get(self.dtype)
        return None if bits is None else -(-self.elements * bits // 8)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the constant takes in the file; 0 where the tensor is not constant."""
        return 0 if self.stored is None else int(self.stored.nbytes)

    @property
    def data(self) -> NDArray[Any] | None:
        """The constant as a read-only array of `shape`; None where the tensor is not constant.

        int2, int4 and uint4 are unpacked to int8 or uint8, bfloat16 is widened to float32; every other
        type of fixed width is a view of the file. Strings and float8 come as the stored bytes, uint8 [n].

        Raises:
            ConversionError: The constant is stored sparse.
        """
        if self.stored is None:
            return None
        if self.is_sparse:
            msg = f"Tensor {self.index} '{self.name}' is stored sparse, which edgepack does not decode."
            raise ConversionError(msg, remedy="Convert the model again without sparse weight compression.")
        if self.dtype in _RAW:
            return self.stored
        return _decode(self.stored, self.dtype, self.elements).reshape(self.shape)


@dataclass(frozen=True)
class Operator:
    """An operator of a subgraph; operators stand in execution order.

    Attributes:
        index: Its index in the subgraph.
        op: The builtin operator's name, such as "CONV_2D"; "CUSTOM" for a custom operator;
            "BUILTIN_<n>" for an operator newer than the schema that edgepack reads with.
        inputs: Tensor indices; -1 for an absent optional input.
        outputs: Tensor indices.
        options: The builtin options by name; enums by their TFLite name ("SAME", "RELU"), vectors as tuples.
        version: Version of the operator in the file.
        custom_code: The name of a custom operator; None for a builtin.
    """

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    version: int = 1
    custom_code: str | None = None

    @property
    def label(self) -> str:
        """The name to show: the operator's, or the custom operator's own."""
        return self.custom_code or self.op


@dataclass(frozen=True)
class Subgraph:
    """A function of the model: tensors, and operators in execution order.

    Attributes:
        index: Its index in the model; 0 is the one that is run.
        name: Its name in the file; may be empty.
        tensors: All tensors, by index.
        operators: All operators, in execution order.
        inputs: Indices of the tensors that the caller fills.
        outputs: Indices of the tensors that the caller reads.
    """

    index: int
    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input_tensors(self, operator: Operator) -> tuple[Tensor | None, ...]:
        """Return the inputs of an operator in order, None where an optional one is absent."""
        return tuple(self.tensors[i] if i >= 0 else None for i in operator.inputs)

    def output_tensors(self, operator: Operator) -> tuple[Tensor, ...]:
        """Return the outputs of an operator in order."""
        return tuple(self.tensors[i] for i in operator.outputs)

    def producers(self) -> dict[int, Operator]:
        """Return tensor index to the operator that writes it."""
        return {tensor: operator for operator in self.operators for tensor in operator.outputs}

    def stored_weight(self, index: int, producers: Mapping[int, Operator]) -> Tensor | None:
        """Return the constant behind a tensor: itself, or what a DEQUANTIZE widens into it; else None.

        Float16 and weight-only models keep constants small and widen them by DEQUANTIZE at run time.
        """
        if index < 0:
            return None
        tensor = self.tensors[index]
        if tensor.is_constant:
            return tensor
        producer = producers.get(index)
        if producer is None or producer.op != "DEQUANTIZE" or not producer.inputs or producer.inputs[0] < 0:
            return None
        source = self.tensors[producer.inputs[0]]
        return source if source.is_constant else None


@dataclass(frozen=True)
class Signature:
    """A named entry point.

    Attributes:
        key: Such as "serving_default".
        subgraph: Index of the subgraph that it runs.
        inputs: Name to tensor index.
        outputs: Name to tensor index.
    """

    key: str
    subgraph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True)
class Graph:
    """A whole `.tflite`.

    Attributes:
        source: The file's name, or "<bytes>"; for messages.
        size_bytes: Size of the file.
        description: What the tool that wrote the file says about it.
        subgraphs: At least one; the first is run.
        signatures: Named entry points; old files have none.
    """

    source: str
    size_bytes: int
    description: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]

    @property
    def main(self) -> Subgraph:
        """The subgraph that is run."""
        return self.subgraphs[0]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Tensors of the main subgraph."""
        return self.main.tensors

    @property
    def operators(self) -> tuple[Operator, ...]:
        """Operators of the main subgraph, in execution order."""
        return self.main.operators

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Input tensors of the main subgraph."""
        return tuple(self.tensors[i] for i in self.main.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Output tensors of the main subgraph."""
        return tuple(self.tensors[i] for i in self.main.outputs)


def _decode(stored: NDArray[np.uint8], dtype: str, elements: int) -> NDArray[Any]:
    """Return `elements` values of `dtype` as a flat read-only array."""
    if dtype in _PACKED:
        return _unpack(stored, elements, *_PACKED[dtype])
    if dtype == "bfloat16":
        widened: NDArray[Any] = (stored.view("<u2").astype(np.uint32) << 16).view(np.float32)
        widened.flags.writeable = False
        return widened
    plain: NDArray[Any] = np.frombuffer(stored, np.dtype(dtype).newbyteorder("<"))
    return plain


def _unpack(stored: NDArray[np.uint8], elements: int, bits: int, signed: bool) -> NDArray[Any]:
    """Return packed integers as int8 or uint8; the first element stands in the lowest bits.

    Source: TFLite `portable_tensor_utils.cc`, `UnpackDenseInt4IntoInt8`.
    """
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    fields: NDArray[Any] = ((stored[:, None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(-1)[:elements]
    if signed:
        sign = 1 << (bits - 1)
        fields = ((fields.astype(np.int8) ^ sign) - sign).astype(np.int8)
    fields.flags.writeable = False
    return fields
