"""Files whose operators are not what TFLite defines: an error that names the operator, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.lower import lower
from edgepack.converters.tflite.reader import read_graph
from tests.converters.mcu.test_models import KNOWN, model_bytes

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph

CHANGES: dict[str, dict[str, Any]] = {
    "no inputs": {"inputs": ()},
    "no weights": {"inputs": (0, -1, 2)},
    "nothing but absent inputs": {"inputs": (-1, -1, -1)},
    "no options": {"options": {}},
}


def damaged(graph: Graph, changes: dict[str, Any]) -> Graph:
    operators = list(graph.main.operators)
    operators[0] = replace(operators[0], **changes)
    main = replace(graph.main, operators=tuple(operators))
    return replace(graph, subgraphs=(main, *graph.subgraphs[1:]))


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_an_operator_that_is_damaged_is_named(name: str, changes: dict[str, Any]) -> None:
    graph = read_graph(model_bytes(name))
    with pytest.raises(ConversionError, match=f"Operator 0, {graph.main.operators[0].op}"):
        lower(damaged(graph, changes))
