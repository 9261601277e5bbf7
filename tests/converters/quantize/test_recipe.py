"""Recipes and how their overrides find operators."""

from __future__ import annotations

import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.quantize.recipe import Override, Recipe, output_name, resolve_overrides
from edgepack.converters.tflite.reader import read_graph


@pytest.fixture(scope="module")
def graph(cnn):
    return read_graph(cnn.path)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("dense/logits", ["dense/logits"]),
        ("dense/*", ["dense/logits"]),
        ("SOFTMAX", ["probabilities"]),
        ("re:^(conv|dense)/", ["conv/relu", "dense/logits"]),
        ("*", ["conv/relu", "flat", "dense/logits", "probabilities"]),
    ],
)
def test_patterns(graph, pattern, names):
    resolved = resolve_overrides(Recipe("int8", overrides=(Override(pattern, "float32"),)), graph)
    assert [output_name(graph.operators[i], graph) for i in resolved] == names
    assert set(resolved.values()) == {"float32"}


def test_the_last_override_wins(graph):
    recipe = Recipe("int8", overrides=(Override("*", "float32"), Override("dense/*", "int16x8")))
    assert list(resolve_overrides(recipe, graph).values()) == ["float32", "float32", "int16x8", "float32"]


def test_a_pattern_without_a_match_is_an_error_with_the_nearest_name(graph):
    with pytest.raises(ConversionError, match=r"'dens/logits'. Did you mean 'dense/logits'") as caught:
        resolve_overrides(Recipe("int8", overrides=(Override("dens/logits", "float32"),)), graph)
    assert "edgepack inspect" in caught.value.remedy
    with pytest.raises(ConversionError, match=r"no regular expression"):
        resolve_overrides(Recipe("int8", overrides=(Override("re:(", "float32"),)), graph)


def test_unknown_precisions_are_refused():
    with pytest.raises(ConversionError, match=r"'int9' is no precision. Did you mean 'int8'"):
        Recipe("int9")
    with pytest.raises(ConversionError, match="'half' is no precision"):
        Recipe("int8", overrides=(Override("*", "half"),))


def test_what_needs_calibration():
    assert Recipe("int8").needs_calibration
    assert not Recipe("int4").needs_calibration
    assert Recipe("dynamic-int8", overrides=(Override("x", "int16x8"),)).needs_calibration
