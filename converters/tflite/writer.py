"""Rewrites `.tflite` files: what must be mended before quantizing, and the batch.

Rules:
    * A file is read by `read_graph` first, so nothing here works on an unsound file.
    * What the functions do not name stays as it is: constants, quantization, metadata, other subgraphs.
    * Buffers are aligned to 16 bytes, as the schema demands; the generated Python code alone would not.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.tflite.batch import plan_batch
from edgepack.converters.tflite.bounds import FOREIGN_ERRORS
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from edgepack.converters.graph import Graph
    from edgepack.converters.tflite.batch import BatchPlan
    from edgepack.converters.tflite.batch_rules import NewOperand
    from edgepack.converters.tflite.options import Generated

DEFAULT_SIGNATURE = "serving_default"
_BUFFER_ALIGNMENT = 16


def normalize(model: bytes) -> bytes:
    """Return the model in the form that today's tools expect; unchanged where it has it already.

    Two things are mended. The operator code is written to `builtin_code` too: litert-quantizer reads
    nothing else, and takes every FULLY_CONNECTED of an old file for ADD. A signature "serving_default" is
    added where the model has none, for calibration needs one; its names are the tensors', made unique.

    Raises:
        ConversionError: The bytes are not a sound `.tflite`.
    """
    graph = read_graph(model)
    tree = _unpack(model)
    changed = not graph.signatures
    for code in tree.operatorCodes or []:
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        changed = changed or number != code.builtinCode
        code.builtinCode = number
    if not changed:
        return model
    if not graph.signatures:
        tree.signatureDefs = [_signature(graph)]
    return _pack(tree, len(model))


def set_batch(model: bytes, batch: int) -> bytes:
    """Return the model for another fixed batch: the leading dimension of inputs, activations and outputs.

    Args:
        model: A `.tflite` whose inputs share one leading dimension.
        batch: The new leading dimension, 1 or more.

    Raises:
        ConversionError: An operator mixes the batch with another dimension, or edgepack cannot tell that it
            does not; the message names it. Or the bytes are not a sound `.tflite`.
    """
    plan = plan_batch(read_graph(model), batch)
    if plan.old == batch:
        return model
    tree = _unpack(model)
    _apply(tree, plan)
    return _pack(tree, len(model))


def _schema() -> Generated:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def _unpack(model: bytes) -> Generated:
    """Return the schema's object tree, with data that lies behind the flatbuffer brought into it."""
    schema = _schema()
    try:
        tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    except FOREIGN_ERRORS as err:
        msg = f"<bytes>: cannot follow the flatbuffer ({type(err).__name__}: {err})."
        raise ConversionError(msg, remedy="The file is damaged: export or download it again.") from err
    for buffer in tree.buffers or []:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(model, np.uint8, count=buffer.size, offset=buffer.offset)
        buffer.offset = buffer.size = 0
    for subgraph in tree.subgraphs:
        for operator in subgraph.operators or []:
            _inline_custom_options(model, operator)
    return tree


def _inline_custom_options(model: bytes, operator: Generated) -> None:
    start, size = operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize
    if start > 1:
        if start + size > len(model):
            msg = f"<bytes>: custom options lie at {start} to {start + size} in a file of {len(model)} bytes."
            raise ConversionError(msg, remedy="The file is damaged: export or download it again.")
        operator.customOptions = np.frombuffer(model, np.uint8, count=size, offset=start)
    operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0


def _pack(tree: Generated, hint_bytes: int) -> bytes:
    import flatbuffers
    from flatbuffers.builder import BuilderSizeError

    class AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
        """Starts byte vectors at multiples of 16, so that constants of any type are aligned in the file."""

        def CreateNumpyVector(self, x: NDArray[Any]) -> Generated:  # noqa: N802 - the base class's name
            if x.itemsize > 1:
                return super().CreateNumpyVector(x)
            self.StartVector(1, x.size, _BUFFER_ALIGNMENT)
            head = self.Head() - x.size
            self.head = head
            self.Bytes[head : head + x.size] = x.tobytes()
            self.vectorNumElems = x.size
            return self.EndVector()

    builder = AlignedBuilder(hint_bytes + (1 << 12))
    try:
        builder.Finish(tree.Pack(builder), b"TFL3")
    except BuilderSizeError as err:
        msg = "The rewritten model would be larger than the 2 GiB that a .tflite can address."
        raise ConversionError(
            msg, remedy="Quantize the model first; its weights then take less room."
        ) from err
    return bytes(builder.Output())


def _signature(graph: Graph) -> Generated:
    schema = _schema()

    def maps(indices: tuple[int, ...], fallback: str) -> list[Any]:
        wanted = [graph.tensors[i].name or f"{fallback}_{n}" for n, i in enumerate(indices)]
        return [
            schema.TensorMapT(name=name, tensorIndex=index)
            for name, index in zip(_unique(wanted), indices, strict=True)
        ]

    return schema.SignatureDefT(
        inputs=maps(graph.main.inputs, "input"),
        outputs=maps(graph.main.outputs, "output"),
        signatureKey=DEFAULT_SIGNATURE,
        subgraphIndex=0,
    )


def _unique(names: list[str]) -> list[str]:
    """Return the names with "_1", "_2", … behind those that were seen before."""
    unique: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in unique or (number and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _apply(tree: Generated, plan: BatchPlan) -> None:
    """Write a plan into the object tree."""
    subgraph = tree.subgraphs[0]
    for index in plan.batched:
        tensor = subgraph.tensors[index]
        tensor.shape = _with_leading(tensor.shape, plan.new)
        if tensor.shapeSignature is not None and len(tensor.shapeSignature):
            tensor.shapeSignature = _with_leading(tensor.shapeSignature, plan.new)
    for operand in plan.operands:
        _replace_operand(tree, subgraph, operand)
    for index in plan.reshapes:
        options = subgraph.operators[index].builtinOptions
        new_shape = getattr(options, "newShape", None)
        if new_shape is not None and len(new_shape):
            options.newShape = _with_leading(new_shape, plan.new)


def _new_name(subgraph: Generated, name: bytes | str | None) -> str:
    """Return a name that no tensor has, made from that of the tensor that is replaced."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name or "operand"
    taken = {
        t.name.decode("utf-8", "replace") if isinstance(t.name, bytes) else t.name for t in subgraph.tensors
    }
    return next(new for number in itertools.count(1) if (new := f"{text}/batch{number}") not in taken)


def _with_leading(dimensions: ArrayLike, value: int) -> NDArray[np.int32]:
    changed = np.array(dimensions, dtype=np.int32)
    changed[0] = value
    return changed


def _replace_operand(tree: Generated, subgraph: Generated, operand: NewOperand) -> None:
    """Give an operator a constant of its own; the old one may serve other operators."""
    schema = _schema()
    operator = subgraph.operators[operand.operator]
    old = subgraph.tensors[operator.inputs[operand.position]]
    tree.buffers.append(schema.BufferT(data=np.frombuffer(operand.values.tobytes(), np.uint8)))
    subgraph.tensors.append(
        schema.TensorT(
            shape=np.array(operand.values.shape, np.int32),
            type=old.type,
            buffer=len(tree.buffers) - 1,
            name=_new_name(subgraph, old.name),
            hasRank=old.hasRank,
        )
    )
    inputs = np.array(operator.inputs, np.int32)
    inputs[operand.position] = len(subgraph.tensors) - 1
    operator.inputs = inputs
