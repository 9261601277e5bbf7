"""The precision "auto"."""

from __future__ import annotations

import pytest

from edgepack.converters.errors import ConversionError, QualityError
from edgepack.converters.quantize.metrics import METRICS, Metric
from edgepack.converters.quantize.recipe import Override, Recipe
from edgepack.converters.quantize.search import search_precision

AUTO = Recipe("auto")


def rows(model):
    return [(step.precision, len(step.kept), step.accepted) for step in model.search]


def test_layers_are_kept_where_the_whole_does_not_hold(cnn, representative, evaluation, tmp_path):
    found = search_precision(cnn, AUTO, representative, evaluation, tmp_path, max_drop=0.025)
    assert found.precision == "auto"
    assert [s.description for s in found.search[:5]] == ["float32", "float16", "int16x8", "int8", "int4"]
    assert rows(found)[:5] == [(p, 0, p != "int4") for p in ("float32", "float16", "int16x8", "int8", "int4")]
    assert found.search[-1].description == "int4 with 1 layer in int8"
    assert found.kept_precision == {"dense/logits": "int8"}
    last = found.search[-1]
    assert last.accepted
    assert last.drop < last.drop_high <= 0.025
    assert last.size_bytes == found.path.stat().st_size
    assert found.provenance.stage == "search"
    assert found.provenance.options["metric"] == "top1"


def test_a_candidate_that_may_hold_by_luck_is_refused(cnn, representative, evaluation, tmp_path):
    found = search_precision(
        cnn, AUTO, representative, evaluation, tmp_path, max_drop=0.01, ladder=("int8", "int4")
    )
    lucky = [step for step in found.search if step.drop <= 0.01 and not step.accepted]
    assert lucky
    assert all(step.drop_high > 0.01 for step in lucky)
    assert found.kept_precision == {}


def test_kept_layers_stay_kept_on_lower_rungs(fragile_cnn, representative, evaluation, tmp_path):
    found = search_precision(
        fragile_cnn, AUTO, representative, evaluation, tmp_path, ladder=("float32", "int8", "int4")
    )
    assert found.kept_precision["dense/logits"] == "float32"
    accepted = [step for step in found.search if step.accepted]
    assert accepted[-1].precision == "int4"
    assert "dense/logits" in accepted[-1].kept
    assert all(step.drop <= 0.01 for step in accepted)


def test_the_search_is_deterministic(cnn, representative, evaluation, tmp_path):
    ladder = ("int8", "int4")
    first = search_precision(cnn, AUTO, representative, evaluation, tmp_path / "a", ladder=ladder)
    second = search_precision(cnn, AUTO, representative, evaluation, tmp_path / "b", ladder=ladder)
    assert first.search == second.search
    assert first.sha256 == second.sha256


def test_a_generous_budget_takes_the_lowest_rung(cnn, representative, evaluation, tmp_path):
    seen = []
    found = search_precision(
        cnn, AUTO, representative, evaluation, tmp_path, max_drop=0.5, on_step=seen.append
    )
    assert tuple(seen) == found.search
    assert rows(found)[-1] == ("int4", 0, True)
    assert found.kept_precision == {}


def test_without_labels_agreement_with_float_judges(cnn, representative, unlabelled, tmp_path):
    found = search_precision(cnn, AUTO, representative, unlabelled, tmp_path, max_drop=0.03)
    assert found.search[0].description == "float32 (judged by agreement)"
    assert found.search[0].metric == 1.0
    assert [s.precision for s in found.search if s.accepted][-1] in {"int8", "int4"}


def test_without_representative_data_the_ladder_is_dynamic(cnn, evaluation, tmp_path):
    found = search_precision(cnn, AUTO, None, evaluation, tmp_path, max_drop=0.5)
    assert [s.precision for s in found.search] == ["float32", "float16", "dynamic-int8", "int4"]


def test_overrides_of_the_user_hold_at_every_step(cnn, representative, evaluation, tmp_path):
    recipe = Recipe("auto", overrides=(Override("CONV_2D", "float32"),))
    found = search_precision(cnn, recipe, representative, evaluation, tmp_path, ladder=("float32", "int8"))
    assert found.kept_precision["conv/relu"] == "float32"


def test_a_first_rung_that_does_not_hold_is_an_error(cnn, representative, evaluation, tmp_path):
    with pytest.raises(QualityError, match=r"loses .* at the first precision already, int4"):
        search_precision(cnn, AUTO, representative, evaluation, tmp_path, ladder=("int4",), max_drop=-0.5)


def test_the_drop_follows_the_direction_of_the_metric():
    assert METRICS["mse"].drop(1.0, 1.5) == 0.5
    assert METRICS["top1"].drop(0.9, 0.8) == pytest.approx(0.1)
    assert isinstance(METRICS["top1"], Metric)


def test_a_ladder_with_nothing_to_try(cnn, evaluation, tmp_path):
    with pytest.raises(ConversionError, match=r"None of the precisions \(none\) can be tried"):
        search_precision(cnn, AUTO, None, evaluation, tmp_path, ladder=())
