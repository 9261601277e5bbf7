"""The quality gate."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from edgepack.converters.errors import QualityError
from edgepack.converters.quantize.check import verify
from edgepack.converters.quantize.convert import quantize
from edgepack.converters.quantize.gate import check_gate
from edgepack.converters.quantize.metrics import within
from edgepack.converters.quantize.recipe import Recipe
from edgepack.converters.quantize.tensor_error import TensorError


def test_a_good_model_passes(cnn, representative, evaluation, tmp_path):
    found = verify(cnn, quantize(cnn, Recipe("int8"), representative, tmp_path), evaluation)
    check_gate(found, max_drop=0.01, minimum=0.5)
    check_gate(found)


def test_a_broken_limit_names_the_tensors(fragile_cnn, representative, evaluation, tmp_path):
    found = verify(fragile_cnn, quantize(fragile_cnn, Recipe("int8"), representative, tmp_path), evaluation)
    with pytest.raises(QualityError, match=r"falls by .*allowed 0.01.*comes from 'dense/logits'") as caught:
        check_gate(found, max_drop=0.01)
    assert "--allow-quality-drop" in caught.value.remedy
    assert "'dense/logits'" in caught.value.remedy
    with pytest.raises(QualityError, match=r"is below the minimum 0.99"):
        check_gate(found, minimum=0.99)
    with pytest.raises(QualityError, match=r"is above the maximum 0.01"):
        check_gate(found, maximum=0.01)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("dense/logits", "dense/logits"),
        ("a/Relu6;a/batchnorm/sub1", "a/Relu6*"),
        (";model/dense/BiasAdd;x", "*model/dense/BiasAdd*"),
    ],
)
def test_patterns_are_short_and_match_the_name(name, pattern):
    error = TensorError(name, "CONV_2D", "int8", 30.0, 0.1, 1.0, 0.99, 0.001)
    assert error.pattern == pattern
    assert fnmatchcase(name, error.pattern)


def test_a_drop_of_exactly_the_limit_is_allowed():
    assert within(0.89 - 0.88, 0.01)  # 0.010000000000000009
    assert not within(0.0101, 0.01)
