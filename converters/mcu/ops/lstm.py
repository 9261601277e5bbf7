"""UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with int8 weights per tensor and a cell state of int16."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.ops.constants import constant
from edgepack.converters.mcu.ops.shapes import label_of, require_dtype, require_rank, require_shape
from edgepack.converters.mcu.program import Call, Struct, Table
from edgepack.converters.mcu.requantize import quantize_multiplier, scale_of, tensor_multiplier
from edgepack.converters.mcu.sigmoid_table import sigmoid_table

if TYPE_CHECKING:
    from edgepack.converters.graph import Operator, Subgraph, Tensor

_INPUTS = 24
_ABSENT = {"peephole": (9, 10, 11), "projection": (16, 17), "layer normalization": (20, 21, 22, 23)}
_HIDDEN, _CELL = 18, 19
_GATE_SCALE = np.float32(2.0**-12)
_UNIT_SCALE = 2.0**-15
"""Scales of what goes into a gate's function (Q3.12) and comes out of it (Q0.15)."""


def lower(subgraph: Subgraph, operator: Operator) -> Call:
    """Return the call of an LSTM over a sequence.

    Raises:
        ConversionError: A variant (peephole, projection, layer normalization, another activation), types or
            shapes that the kernel does not take.

    Source: TFLite Micro kernels/lstm_eval_common.cc, PrepareGateParametersInteger.
    """
    tensors = _tensors(subgraph, operator)
    source, hidden, cell = tensors[0], tensors[_HIDDEN], tensors[_CELL]
    output = subgraph.tensors[operator.outputs[0]]
    require_rank(operator, source, 3)
    require_rank(operator, tensors[1], 2)
    units, inputs = tensors[1].shape
    major = bool(operator.options["time_major"])
    _check(operator, tensors, output)
    steps, batches = source.shape[:2] if major else source.shape[1::-1]
    cell_scale, hidden_scale = float(scale_of(cell)[0]), float(scale_of(hidden)[0])
    power = round(math.log2(cell_scale))
    shift = 15 + power - 3  # to Q3.12; the multiplier's 3 is what both functions expect of their input
    clip = operator.options["cell_clip"]
    products = {
        "forget_cell": _UNIT_SCALE,
        "input_cell": _UNIT_SCALE * _UNIT_SCALE / cell_scale,
        "output_hidden": _UNIT_SCALE * _UNIT_SCALE / hidden_scale,
    }
    return Call(
        label=label_of(operator, source, output),
        operator=operator.index,
        kernel="ep_lstm_s8",
        struct="ep_lstm",
        constants={
            "input_weights": Table("int8_t", _joined(operator, tensors, 1)),
            "recurrent_weights": Table("int8_t", _joined(operator, tensors, 5)),
            "bias": Table("int32_t", _joined(operator, tensors, 12)),
            "gates": Table("ep_lstm_gate", np.array(_gates(tensors), np.int64)),
            "sigmoid": Table("uint16_t", sigmoid_table()),
            "batches": batches, "steps": steps, "inputs": inputs, "units": units, "time_major": int(major),
            "input_offset": -scale_of(source)[1], "hidden_zero_point": scale_of(hidden)[1],
            "cell_clip": int(min(clip / cell_scale, 32767.0)) if clip > 0 else 0,
            "tanh_multiplier": 3 << shift if shift >= 0 else 3, "tanh_shift": max(0, -shift),
            **{name: Struct(quantize_multiplier(real)._asdict()) for name, real in products.items()},
        },
        inputs=(source.index, hidden.index, cell.index),
        outputs=(output.index,),
        macs=4 * units * (inputs + units) * steps * batches,
    )  # fmt: skip


def _tensors(subgraph: Subgraph, operator: Operator) -> dict[int, Tensor]:
    """Return the tensors that are there, by place."""
    places = dict(enumerate(operator.inputs))
    for variant, absent in _ABSENT.items():
        if any(places.get(place, -1) >= 0 for place in absent):
            name = subgraph.tensors[operator.outputs[0]].name
            msg = f"{operator.op}: output '{name}' is of an LSTM with {variant}, which TFLite Micro refuses."
            raise ConversionError(msg, remedy=f"Train the LSTM without {variant}.")
    present = {place: index for place, index in places.items() if index >= 0}
    expected = {*range(9), *range(12, 16), _HIDDEN, _CELL}
    if len(places) != _INPUTS or set(present) != expected:
        msg = f"{operator.op}: operator {operator.index} lacks inputs {sorted(expected - set(present))}."
        raise ConversionError(msg, remedy="Train the LSTM with an input gate and biases.")
    return {place: subgraph.tensors[index] for place, index in present.items()}


def _check(operator: Operator, tensors: dict[int, Tensor], output: Tensor) -> None:
    source, hidden, cell = tensors[0], tensors[_HIDDEN], tensors[_CELL]
    activation = operator.options["fused_activation_function"]
    if activation != "TANH" or not hidden.is_variable or not cell.is_variable:
        msg = (
            f"{operator.op}: output '{output.name}' has activation {activation}, or states that do not vary."
        )
        raise ConversionError(msg, remedy="Train the LSTM with tanh as its activation.")
    units, inputs = tensors[1].shape
    require_shape(operator, source, (*source.shape[:2], inputs))
    require_shape(operator, output, (*source.shape[:2], units))
    batches = source.shape[1] if operator.options["time_major"] else source.shape[0]
    require_shape(operator, hidden, (batches, units))
    require_shape(operator, cell, (batches, units))
    for place, tensor in tensors.items():
        kinds = {0: "int8", _HIDDEN: "int8", _CELL: "int16"}
        require_dtype(operator, tensor, kinds.get(place, "int32" if place >= 12 else "int8"))
        if place in range(1, 9):
            require_shape(operator, tensor, (units, inputs if place < 5 else units))
    require_dtype(operator, output, "int8")


def _joined(operator: Operator, tensors: dict[int, Tensor], first: int) -> np.ndarray:
    """Return what the four gates have, one behind the other."""
    return np.concatenate([constant(operator, tensors[first + gate]).reshape(-1) for gate in range(4)])


def _gates(tensors: dict[int, Tensor]) -> list[tuple[int, int, int, int]]:
    (source, _), (hidden, _) = scale_of(tensors[0]), scale_of(tensors[_HIDDEN])
    return [
        (
            *tensor_multiplier(source, scale_of(tensors[1 + gate])[0], _GATE_SCALE),
            *tensor_multiplier(hidden, scale_of(tensors[5 + gate])[0], _GATE_SCALE),
        )
        for gate in range(4)
    ]
