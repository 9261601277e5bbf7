"""What is asked of the quantizer: a precision, the type of inputs and outputs, and exceptions by layer.

Rules:
    * A recipe is a value; it knows nothing of litert-quantizer (see `rules.py`).
    * Later overrides win. A pattern that matches no operator is an error, never ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from edgepack.converters.errors import ConversionError
from edgepack.targets.errors import nearest
from edgepack.targets.model import PRECISIONS

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph, Operator
    from edgepack.targets.model import Precision

_REGEX = "re:"
STATIC_PRECISIONS: frozenset[Precision] = frozenset({"int8", "int16x8"})
"""Precisions that need the ranges of activations, so representative data."""


@dataclass(frozen=True)
class Override:
    """Another precision for some operators.

    Attributes:
        pattern: Matched against each operator's output tensor name and against its operator name, such as
            "model/dense/*" or "SOFTMAX": a glob; or, after "re:", a regular expression found anywhere.
        precision: The precision of the operators that match; not "auto".
    """

    pattern: str
    precision: Precision


@dataclass(frozen=True)
class Recipe:
    """What to quantize to.

    Attributes:
        precision: The precision of the whole model; "auto" belongs to `search_precision`.
        io: "int8" lets inputs and outputs have the model's own integer type (int8, or int16 for int16x8);
            "float32" keeps them float, with QUANTIZE and DEQUANTIZE inside the model.
        overrides: Exceptions, the last match wins.
    """

    precision: Precision
    io: Literal["int8", "float32"] = "int8"
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        """Refuse precisions that edgepack does not know.

        Raises:
            ConversionError: One is unknown.
        """
        for precision in (self.precision, *(override.precision for override in self.overrides)):
            if precision not in PRECISIONS:
                msg = f"'{precision}' is no precision.{nearest(precision, PRECISIONS)}"
                raise ConversionError(msg, remedy=f"Use one of {', '.join(PRECISIONS)}.")

    @property
    def needs_calibration(self) -> bool:
        """Whether some operator's activations become integers with fixed ranges."""
        return bool(STATIC_PRECISIONS & {self.precision, *(o.precision for o in self.overrides)})

    @property
    def uses_calibration(self) -> bool:
        """Whether ranges of activations make the model better where there are some: int4 can do without."""
        return self.needs_calibration or "int4" in {self.precision, *(o.precision for o in self.overrides)}


def resolve_overrides(recipe: Recipe, graph: Graph) -> dict[int, Precision]:
    """Return operator index to the precision that an override gives it.

    Raises:
        ConversionError: A pattern matches no operator, or is no regular expression.
    """
    resolved: dict[int, Precision] = {}
    for override in recipe.overrides:
        matches = [op.index for op in graph.operators if _matches(override.pattern, op, graph)]
        if not matches:
            names = [name for op in graph.operators for name in _names(op, graph)]
            msg = f"No operator matches the override '{override.pattern}'.{nearest(override.pattern, names)}"
            raise ConversionError(
                msg,
                remedy="Name an output tensor or an operator as `edgepack inspect` lists them.",
            )
        resolved.update(dict.fromkeys(matches, override.precision))
    return resolved


def output_name(operator: Operator, graph: Graph) -> str:
    """Return the name of an operator's first output tensor, by which edgepack calls the layer."""
    return graph.tensors[operator.outputs[0]].name if operator.outputs else operator.label


def _names(operator: Operator, graph: Graph) -> list[str]:
    return [*(graph.tensors[i].name for i in operator.outputs), operator.label]


def _matches(pattern: str, operator: Operator, graph: Graph) -> bool:
    names = _names(operator, graph)
    if not pattern.startswith(_REGEX):
        return any(name == pattern or fnmatchcase(name, pattern) for name in names)
    try:
        expression = re.compile(pattern.removeprefix(_REGEX))
    except re.error as err:
        msg = f"The override '{pattern}' is no regular expression: {err}."
        raise ConversionError(msg, remedy="Correct the pattern in edgepack.toml, or use a glob.") from err
    return any(expression.search(name) for name in names)
