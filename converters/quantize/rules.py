"""A recipe in litert-quantizer's own terms: rules by operator and output tensor name.

What each precision means for an operator:

| precision | weights | activations | operators |
| --- | --- | --- | --- |
| float32 | float32 | float32 | all |
| float16 | float16, widened when loaded | float32 | those with weights |
| dynamic-int8 | int8 per channel | float32, quantized while running | those with weights |
| int8 | int8 per channel | int8 | all that litert-quantizer knows |
| int16x8 | int8 per channel | int16 | all that litert-quantizer knows |
| int4, calibrated | int4 per channel in CONV_2D and FULLY_CONNECTED, int8 elsewhere | int8 | as int8 |
| int4, no data | int4 also in EMBEDDING_LOOKUP, int8 elsewhere | float32 | as dynamic-int8 |

An operator that litert-quantizer does not know at a precision stays float32, between DEQUANTIZE and QUANTIZE.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.converters.graph import Graph, Operator
    from edgepack.converters.quantize.recipe import Recipe
    from edgepack.targets.model import Precision

Rule = dict[str, Any]
_ALL = "*"
_INT4_STATIC = ("CONV_2D", "FULLY_CONNECTED")
_INT4_DYNAMIC = (*_INT4_STATIC, "EMBEDDING_LOOKUP")
_FLOAT16_OPS = ("CONV_2D", "CONV_2D_TRANSPOSE", "DEPTHWISE_CONV_2D", "EMBEDDING_LOOKUP", "FULLY_CONNECTED")
_QUANTIZER_NAMES = {
    "TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"
}  # where litert-quantizer names an operator otherwise


def rules_for(
    recipe: Recipe, graph: Graph, overrides: Mapping[int, Precision], *, calibrated: bool
) -> list[Rule]:
    """Return the rules, in the order in which litert-quantizer lets later ones win.

    Args:
        recipe: What is asked for.
        graph: The float model.
        overrides: Operator index to precision, from `resolve_overrides`.
        calibrated: Whether the ranges of activations are known, which decides what int4 means.
    """
    rules = _rules(".*", _ALL, recipe.precision, calibrated=calibrated)
    if recipe.io == "float32":
        rules += [_keep(".*", "INPUT"), _keep(".*", "OUTPUT")]
    for index, precision in overrides.items():
        operator = graph.operators[index]
        name = _QUANTIZER_NAMES.get(operator.op, operator.op)
        wanted = _rules(_scope(operator, graph), name, precision, calibrated=calibrated)
        rules += [rule for rule in wanted if _known(rule)] or _fallback(wanted)
    return rules


def _known(rule: Rule) -> bool:
    """Return whether litert-quantizer can do this to this operator."""
    from litert_quantizer import algorithm_manager, qtyping

    if rule["operation"] not in set(qtyping.TFLOperationName):
        return False
    if rule["algorithm_key"] == "no_quantize":
        return True
    try:
        algorithm_manager.check_op_quantization_config(
            rule["algorithm_key"],
            qtyping.TFLOperationName(rule["operation"]),
            qtyping.OpQuantizationConfig.from_dict(rule["op_config"]),
        )
    except ValueError:
        return False
    return True


def _fallback(wanted: list[Rule]) -> list[Rule]:
    """Return the rules that leave an operator float where it cannot have the precision that is wanted."""
    return [rule for rule in (_keep(w["regex"], w["operation"]) for w in wanted) if _known(rule)]


def _rules(regex: str, operation: str, precision: Precision, *, calibrated: bool) -> list[Rule]:
    """Return the rules of one precision for one operator name, or for all of them."""
    if precision == "float16":
        return _of(regex, operation, _FLOAT16_OPS, _float16, otherwise=None)
    if precision == "dynamic-int8":
        return [_integer(regex, operation, weight_bits=8, activation_bits=None)]
    if precision in ("int8", "int16x8"):
        bits = 8 if precision == "int8" else 16
        return [_integer(regex, operation, weight_bits=8, activation_bits=bits)]
    if precision == "int4":
        activation_bits = 8 if calibrated else None
        four = _INT4_STATIC if calibrated else _INT4_DYNAMIC

        def int4(regex: str, operation: str) -> Rule:
            return _integer(regex, operation, weight_bits=4, activation_bits=activation_bits)

        eight = _integer(regex, operation, weight_bits=8, activation_bits=activation_bits)
        return _of(regex, operation, four, int4, otherwise=eight)
    return [_keep(regex, operation)]


def _of(regex: str, operation: str, ops: tuple[str, ...], rule: Any, *, otherwise: Rule | None) -> list[Rule]:  # noqa: ANN401
    """Return `rule` for the operators in `ops` and `otherwise` (or float) for the rest."""
    rest = otherwise or _keep(regex, operation)
    if operation == _ALL:
        return [rest, *(rule(regex, name) for name in ops)]
    return [rule(regex, operation)] if operation in ops else [rest]


def _scope(operator: Operator, graph: Graph) -> str:
    """Return a regular expression for this operator alone: its output tensors' names, joined by ';'."""
    names = ";".join(graph.tensors[index].name for index in operator.outputs)
    return f"^{re.escape(names)};?$"


def _keep(regex: str, operation: str) -> Rule:
    """Return the rule that leaves operators float."""
    return {
        "regex": regex,
        "operation": operation,
        "algorithm_key": "no_quantize",
        "op_config": {},
    }


def _float16(regex: str, operation: str) -> Rule:
    return {
        "regex": regex,
        "operation": operation,
        "algorithm_key": "float_casting",
        "op_config": {
            "weight_tensor_config": {"num_bits": 16, "symmetric": True, "dtype": "FLOAT"},
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        },
    }


def _integer(regex: str, operation: str, *, weight_bits: int, activation_bits: int | None) -> Rule:
    """Return the rule for integer weights, with fixed ranges of activations where `activation_bits` is given.

    Weights are symmetric because LiteRT's kernels take nothing else, and so are 16-bit activations.
    Source: TFLite 8-bit quantization specification, "Symmetric vs asymmetric".
    """
    config: dict[str, Any] = {
        "weight_tensor_config": {
            "num_bits": weight_bits,
            "symmetric": True,
            "granularity": "CHANNELWISE",
            "dtype": "INT",
        },
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
    }
    if activation_bits is not None:
        config["activation_tensor_config"] = {
            "num_bits": activation_bits,
            "symmetric": activation_bits == 16,
            "granularity": "TENSORWISE",
            "dtype": "INT",
        }
    return {
        "regex": regex,
        "operation": operation,
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": config,
    }
