"""Reads a `.tflite` into a `Graph`, trusting nothing in the file.

Rules:
    * Every count is checked before it is followed, every index before it is used; the only way out besides a
      `Graph` is `ConversionError`, naming the file and what was found.
    * Constants are views of the one copy of the file that is read; none is copied.
    * A flatbuffer may let many tables share one vector, so a small file can describe a huge graph: what
      is read is charged against a budget that grows with the file (`Budget`).
    * The operator is `max(builtin_code, deprecated_builtin_code)`: old files fill only the second.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.graph import Graph, Operator, QuantParams, Signature, Subgraph, Tensor
from edgepack.converters.tflite.bounds import DAMAGED, FOREIGN_ERRORS, Budget, check_header, read_bytes
from edgepack.converters.tflite.options import dtype_names, enum_names, read_options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.tflite.options import Generated

_MAX_RANK = 32
_MAX_ELEMENTS = 1 << 40


def read_graph(model: Path | str | bytes) -> Graph:
    """Return what is in a `.tflite`.

    Args:
        model: The file, or its bytes.

    Raises:
        ConversionError: The file cannot be read, is larger than 2 GiB, or is not a sound TFLite model.
    """
    data = model if isinstance(model, bytes) else read_bytes(Path(model))
    source = "<bytes>" if isinstance(model, bytes) else str(model)
    check_header(data, source)
    try:
        return _Reader(data, source).graph()
    except FOREIGN_ERRORS as err:
        msg = f"{source}: cannot follow the flatbuffer, {len(data)} bytes ({type(err).__name__}: {err})."
        raise ConversionError(msg, remedy=DAMAGED) from err


class _Reader:
    """Walks one flatbuffer; each method reads one kind of table."""

    def __init__(self, data: bytes, source: str) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Generated = schema
        self._data = data
        self._source = source
        self._budget = Budget(len(data), source)
        self._dtypes = dtype_names(schema)
        self._builtins = enum_names(schema.BuiltinOperator)
        self._model = schema.Model.GetRootAs(data)
        self._codes: list[tuple[str, int, str | None]] = []
        self._buffers: list[NDArray[np.uint8] | None] = []

    def graph(self) -> Graph:
        model = self._model
        if model.Version() != 3:
            self._fail(f"schema version {model.Version()}, expected 3")
        self._codes = [self._code(model.OperatorCodes(i)) for i in self._range(model.OperatorCodesLength())]
        self._buffers = [self._buffer(i) for i in self._range(model.BuffersLength())]
        count = self._range(model.SubgraphsLength())
        if not count:
            self._fail("no subgraph")
        subgraphs = tuple(self._subgraph(i) for i in count)
        signatures = self._range(model.SignatureDefsLength())
        self._range(model.MetadataLength() + model.ExternalBuffersLength())  # read by the writer alone
        return Graph(
            source=self._source,
            size_bytes=len(self._data),
            description=self._text(model.Description()),
            subgraphs=subgraphs,
            signatures=tuple(self._signature(model.SignatureDefs(i), subgraphs) for i in signatures),
        )

    def _fail(self, found: str) -> NoReturn:
        msg = f"{self._source}: {found}."
        raise ConversionError(msg, remedy=DAMAGED)

    def _range(self, count: int) -> range:
        """Return range(count), once the file is known to be able to hold that many offsets."""
        if count * 4 > len(self._data):
            self._fail(f"a list claims {count} entries in a file of {len(self._data)} bytes")
        self._budget.charge(count * 4)
        return range(count)

    def _values(self, vector: Generated) -> tuple[Any, ...]:
        """Return a vector of numbers; the accessors return the integer 0 where there is none."""
        if isinstance(vector, int):
            return ()
        self._budget.charge(int(vector.nbytes))
        return tuple(vector.tolist())

    def _text(self, raw: bytes | None) -> str:
        self._budget.charge(len(raw or b""))
        return (raw or b"").decode("utf-8", "backslashreplace")

    def _code(self, code: Generated) -> tuple[str, int, str | None]:
        """Return (operator, version, custom name)."""
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if number < 0:
            self._fail(f"operator code {number}")
        op = self._builtins.get(number, f"BUILTIN_{number}")
        custom = self._text(code.CustomCode()) if op == "CUSTOM" else None
        return op, code.Version(), custom

    def _buffer(self, index: int) -> NDArray[np.uint8] | None:
        """Return a view of a buffer's bytes, inside the flatbuffer or behind it; None where it is empty.

        Source: TFLite schema, `table Buffer`: an `offset` above 1 gives the place in the file.
        """
        buffer = self._model.Buffers(index)
        offset, size = buffer.Offset(), buffer.Size()
        if offset > 1:
            if offset + size > len(self._data):
                found = (
                    f"buffer {index} lies at {offset} to {offset + size} in a file of {len(self._data)} bytes"
                )
                self._fail(found)
            self._budget.charge(size)
            return np.frombuffer(self._data, np.uint8, count=size, offset=offset) if size else None
        if buffer.DataIsNone() or not buffer.DataLength():
            return None
        self._budget.charge(buffer.DataLength())
        view: NDArray[np.uint8] = buffer.DataAsNumpy()
        return view

    def _subgraph(self, index: int) -> Subgraph:
        table = self._model.Subgraphs(index)
        where = f"subgraph {index}"
        indices = self._range(table.TensorsLength())
        count = len(indices)
        tensors = tuple(self._tensor(table.Tensors(i), i, count, where) for i in indices)
        operators = self._range(table.OperatorsLength())
        return Subgraph(
            index=index,
            name=self._text(table.Name()),
            tensors=tensors,
            operators=tuple(self._operator(table.Operators(i), i, count, where) for i in operators),
            inputs=self._indices(table.InputsAsNumpy(), count, 0, f"{where} inputs"),
            outputs=self._indices(table.OutputsAsNumpy(), count, 0, f"{where} outputs"),
        )

    def _indices(self, vector: Generated, count: int, lowest: int, where: str) -> tuple[int, ...]:
        values = self._values(vector)
        for value in values:
            if not lowest <= value < count:
                self._fail(f"{where}: tensor {value}, expected {lowest} to {count - 1}")
        return values

    def _operator(self, table: Generated, index: int, tensors: int, where: str) -> Operator:
        where = f"{where} operator {index}"
        code = table.OpcodeIndex()
        if code >= len(self._codes):
            self._fail(f"{where}: operator code {code}, expected 0 to {len(self._codes) - 1}")
        op, version, custom = self._codes[code]
        return Operator(
            index=index,
            op=op,
            inputs=self._indices(table.InputsAsNumpy(), tensors, -1, f"{where} ({op}) inputs"),
            outputs=self._indices(table.OutputsAsNumpy(), tensors, 0, f"{where} ({op}) outputs"),
            options=read_options(self._schema, table, self._budget.charge),
            version=version,
            custom_code=custom,
        )

    def _tensor(self, table: Generated, index: int, tensors: int, where: str) -> Tensor:
        name = self._text(table.Name())
        where = f"{where} tensor {index} '{name}'"
        shape = self._shape(table.ShapeAsNumpy(), where)
        signature = self._values(table.ShapeSignatureAsNumpy())
        if table.ExternalBuffer():
            msg = f"{self._source}: {where} keeps its data in another file, which edgepack does not follow."
            raise ConversionError(msg, remedy="Export the model as one self-contained .tflite file.")
        if table.Type() not in self._dtypes or table.Buffer() >= max(1, len(self._buffers)):
            found = f"type {table.Type()}, buffer {table.Buffer()} of {len(self._buffers)}"
            self._fail(f"{where}: {found}")
        tensor = Tensor(
            index=index,
            name=name,
            shape=shape,
            shape_signature=signature if len(signature) == len(shape) else shape,
            dtype=self._dtypes[table.Type()],
            quantization=self._quantization(table.Quantization(), shape, tensors, where),
            is_variable=table.IsVariable(),
            is_sparse=table.Sparsity() is not None,
            buffer=table.Buffer(),
            stored=self._buffers[table.Buffer()] if self._buffers else None,
        )
        self._range(table.VariantTensorsLength())
        if tensor.is_sparse:
            self._range(table.Sparsity().DimMetadataLength())
        expected = tensor.size_bytes
        if tensor.is_constant and not tensor.is_sparse and expected not in (None, tensor.stored_bytes):
            held = f"its buffer holds {tensor.stored_bytes} bytes"
            self._fail(f"{where}: {held}, but {tensor.dtype} {list(shape)} takes {expected}")
        return tensor

    def _shape(self, vector: Generated, where: str) -> tuple[int, ...]:
        shape = self._values(vector)
        if len(shape) > _MAX_RANK or any(d < 0 for d in shape) or math.prod(shape) > _MAX_ELEMENTS:
            self._fail(f"{where}: shape {list(shape[:_MAX_RANK])}")
        return shape

    def _quantization(
        self, table: Generated, shape: tuple[int, ...], tensors: int, where: str
    ) -> QuantParams | None:
        """Return the affine parameters; None where there are none (min and max alone do not quantize)."""
        if table is None:
            return None
        self._budget.charge(4 * (table.MinLength() + table.MaxLength()))
        if table.DetailsType() == self._schema.QuantizationDetails.BlockwiseQuantization:
            return self._blockwise(table, tensors, where)
        if not table.ScaleLength():
            return None
        self._budget.charge(12 * table.ScaleLength())
        scale: NDArray[np.float32] = table.ScaleAsNumpy()
        zero_point = table.ZeroPointAsNumpy() if table.ZeroPointLength() else np.zeros(scale.size, np.int64)
        dimension = table.QuantizedDimension()
        channels = shape[dimension] if 0 <= dimension < len(shape) else 1
        if zero_point.size != scale.size or scale.size not in (1, channels):
            sizes = f"{scale.size} scales and {zero_point.size} zero points"
            self._fail(f"{where}: {sizes} along dimension {dimension} of {list(shape)}")
        if not np.isfinite(scale).all() or (scale < 0).any():
            self._fail(f"{where}: a scale that is negative or not finite")
        return QuantParams(scale, zero_point, dimension)

    def _blockwise(self, table: Generated, tensors: int, where: str) -> QuantParams:
        details = self._schema.BlockwiseQuantization()
        union = table.Details()
        details.Init(union.Bytes, union.Pos)
        if not 0 <= details.Scales() < tensors or details.BlockSize() < 1:
            self._fail(f"{where}: blocks of {details.BlockSize()}, scales in tensor {details.Scales()}")
        none = np.zeros(0, np.float32), np.zeros(0, np.int64)
        return QuantParams(*none, table.QuantizedDimension(), details.BlockSize(), details.Scales())

    def _signature(self, table: Generated, subgraphs: tuple[Subgraph, ...]) -> Signature:
        key = self._text(table.SignatureKey())
        index = table.SubgraphIndex()
        if index >= len(subgraphs):
            self._fail(f"signature '{key}' names subgraph {index} of {len(subgraphs)}")
        inputs = {self._text((m := table.Inputs(i)).Name()): m for i in self._range(table.InputsLength())}
        outputs = {self._text((m := table.Outputs(i)).Name()): m for i in self._range(table.OutputsLength())}
        count = len(subgraphs[index].tensors)
        for mapping in (*inputs.values(), *outputs.values()):
            if mapping.TensorIndex() >= count:
                self._fail(f"signature '{key}' names tensor {mapping.TensorIndex()} of {count}")
        return Signature(
            key=key,
            subgraph=index,
            inputs={name: mapping.TensorIndex() for name, mapping in inputs.items()},
            outputs={name: mapping.TensorIndex() for name, mapping in outputs.items()},
        )
