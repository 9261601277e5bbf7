"""Builtin options of an operator as plain values, by the names and enums of TFLite.

One generic reading serves all of the schema's option tables: the table's own fields, in snake case, enums by
name, vectors as tuples. So an operator that edgepack has never heard of still shows its options.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A module, accessor or object of the generated schema code, which carries no types.
Generated: TypeAlias = Any
# An int, float, bool, str, None, or a tuple or mapping of these.
Plain: TypeAlias = Any

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

# Which schema enum a field speaks, by field name. A field of the same name that is a vector is left as it is.
_ENUMS = {
    "padding": "Padding",
    "fused_activation_function": "ActivationFunctionType",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
    "kernel_type": "LSTMKernelType",
    "combiner": "CombinerType",
    "mode": "MirrorPadMode",
    "reduce_function": "ReduceWindowFunction",
    "comparison_direction": "StablehloComparisonDirection",
    "algorithm": "RngAlgorithm",
}
_DTYPE_FIELDS = frozenset(
    {"in_data_type", "out_data_type", "output_type", "out_type", "idx_out_type", "quantized_bias_type"}
)


def enum_names(enum: type) -> dict[int, str]:
    """Return value to name of an enum of the generated schema."""
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def dtype_names(schema: Generated) -> dict[int, str]:
    """Return TensorType value to the name in NumPy's spelling, such as "int8"."""
    return {value: name.lower() for value, name in enum_names(schema.TensorType).items()}


def read_options(
    schema: Generated, operator: Generated, charge: Callable[[int], None]
) -> Mapping[str, Plain]:
    """Return the builtin options of a flatbuffer operator; empty where it has none.

    Args:
        schema: The generated schema module.
        operator: The schema's `Operator` accessor.
        charge: Called with the number of bytes that each vector takes, before it is copied.
    """
    creator, kind, table = (
        schema.BuiltinOptionsCreator,
        operator.BuiltinOptionsType(),
        operator.BuiltinOptions(),
    )
    if kind == schema.BuiltinOptions.NONE:
        creator, kind = schema.BuiltinOptions2Creator, operator.BuiltinOptions2Type()
        table = operator.BuiltinOptions2()
    if table is None:
        return {}
    options = creator(kind, table)
    return {} if options is None else _plain_fields(schema, options, charge)


def _plain_fields(schema: Generated, options: Generated, charge: Callable[[int], None]) -> dict[str, Plain]:
    fields = {}
    for camel, value in vars(options).items():
        name = _CAPITAL.sub("_", camel).lower()
        fields[name] = _plain(schema, name, value, charge)
    return fields


def _plain(schema: Generated, name: str, value: Generated, charge: Callable[[int], None]) -> Plain:
    """Return one field as an int, float, bool, str, None or a tuple of these; nested tables as a mapping."""
    if isinstance(value, np.ndarray):
        charge(int(value.nbytes))
        return tuple(value.tolist())
    if isinstance(value, bytes):
        charge(len(value))
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list):
        charge(len(value))
        return tuple(_plain(schema, name, item, charge) for item in value)
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return _enum(schema, name, int(value))
    return _plain_fields(schema, value, charge)


def _enum(schema: Generated, name: str, value: int) -> int | str:
    if name in _DTYPE_FIELDS:
        return dtype_names(schema).get(value, value)
    if name in _ENUMS:
        return enum_names(getattr(schema, _ENUMS[name])).get(value, value)
    return value
