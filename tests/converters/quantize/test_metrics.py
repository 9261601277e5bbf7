"""Metrics against plain definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.converters.data.dataset import Dataset
from edgepack.converters.errors import DataError
from edgepack.converters.quantize.metrics import METRICS, default_metric, find_metric, wilson


def data(labels, x=None):
    count = 4 if labels is None else len(labels)
    x = np.zeros((count, 3), np.float32) if x is None else x
    labels = None if labels is None else np.asarray(labels)
    return Dataset((x,), labels, (), Path("d.npz"), "0" * 64)


def score(name, outputs, dataset, reference=None):
    outputs = (np.asarray(outputs, np.float32),)
    return METRICS[name].score(outputs, dataset, outputs if reference is None else (reference,))


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_wilson_against_published_values(hits, count, low, high):
    assert wilson(hits, count) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_within_0_and_1(pair):
    hits, count = pair
    low, high = wilson(hits, count)
    assert 0 <= low <= hits / count + 1e-12
    assert hits / count - 1e-12 <= high <= 1


def test_top1():
    outputs = np.eye(4)[[0, 1, 2, 0]]
    assert score("top1", outputs, data([0, 1, 2, 3])).value == 0.75
    assert score("top1", [[0.9], [0.2]], data([1, 1])).value == 0.5
    with pytest.raises(DataError, match="needs class labels; found none"):
        score("top1", outputs, data(None))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=30).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_auc_is_the_share_of_pairs_in_order(rows):
    labels, scores = zip(*rows, strict=True)
    pairs = [
        1.0 if b > a else 0.5 if a == b else 0.0
        for (la, a) in rows
        for (lb, b) in rows
        if la == 0 and lb == 1
    ]
    found = score("auc", np.array(scores)[:, None], data(labels))
    assert found.value == pytest.approx(sum(pairs) / len(pairs))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_auc_of_an_autoencoder_uses_the_reconstruction_error():
    x = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]], np.float32)
    assert score("auc", x + np.array([[0.1], [0.1], [2.0]]), data([0, 0, 1], x)).value == 1.0
    with pytest.raises(DataError, match=r"labels 0 \(normal\) and 1"):
        score("auc", x, data([0, 0, 0], x))


def test_mse_and_its_interval():
    x = np.zeros((4, 3), np.float32)
    found = score("mse", np.array([1, 1, 3, 3])[:, None] * np.ones((4, 3)), data(None, x))
    assert found.value == 5.0
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(64 / 3) / 2)
    targets = np.array([1, 1, 3, 3.5], np.float32)
    assert score("mse", [[1], [1], [3], [3]], data(targets, x)).value == pytest.approx(0.0625)


def test_fidelity_is_one_minus_noise_over_signal():
    reference = np.full((4, 2), 10.0, np.float32)
    assert score("fidelity", reference + 1, data(None), reference).value == pytest.approx(0.99)


def test_defaults_fit_the_data():
    rows = (np.zeros((4, 5), np.float32),)
    same = (np.zeros((4, 3), np.float32),)
    assert default_metric(data([0, 1, 2, 3]), rows).name == "top1"
    assert default_metric(data([0, 1, 0, 1]), same).name == "auc"
    assert default_metric(data(None), rows).name == "agreement"
    assert default_metric(data(None), same).name == "fidelity"
    assert default_metric(replace(data(None), labels=np.ones(4, np.float32)), rows).name == "mse"


def test_own_metric(tmp_path):
    (tmp_path / "quality.py").write_text(
        "def cost(outputs, labels):\n    return float(abs(outputs[:, 0] - labels).mean())\n"
        "cost.higher_is_better = False\ndef bad(outputs):\n    return 1\n"
    )
    metric = find_metric("quality:cost", folder=tmp_path)
    outputs = (np.array([[1.0], [2.0], [3.0], [5.0]], np.float32),)
    found = metric.score(outputs, data([1, 1, 1, 1]), outputs)
    assert found.value == 1.75
    assert found.low < 1.75 < found.high
    assert metric.score(outputs, data([1, 1, 1, 1]), outputs) == found
    assert metric.drop(1.0, 1.75) == 0.75
    with pytest.raises(DataError, match=r"The metric 'quality:bad' failed: TypeError"):
        find_metric("quality:bad", folder=tmp_path).score(outputs, data([1, 1, 1, 1]), outputs)


def test_unknown_metric(tmp_path):
    with pytest.raises(DataError, match=r"no metric 'top2'. Did you mean 'top1'"):
        find_metric("top2", folder=tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "drop", "high"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0, 0.0),  # no sample tells them apart: nothing is uncertain
        ([1, 1, 1, 1], [1, 1, 1, 0], 0.25, 0.25 + 1.644854 * (1 - 1 / 4) ** 0.5 / 4),
        ([1, 1, 0, 0], [1, 0, 1, 0], 0.0, 1.644854 * 2**0.5 / 4),
    ],
)
def test_the_interval_of_a_drop_counts_only_the_samples_that_tell_the_models_apart(before, after, drop, high):
    def outputs(right):
        return (np.array([[0.0, 1.0] if each else [1.0, 0.0] for each in right], np.float32),)

    data = Dataset((np.zeros((4, 1), np.float32),), np.ones(4, np.int64), (), Path("x"), "")
    metric = METRICS["top1"]
    scores = [metric.score(outputs(each), data, outputs(before)).value for each in (before, after)]
    assert metric.drop(*scores) == pytest.approx(drop)
    assert metric.drop_high(outputs(after), data, outputs(before)) == pytest.approx(high)


def test_metrics_that_are_no_share_of_right_answers_have_no_interval_of_the_drop():
    data = Dataset((np.zeros((2, 1), np.float32),), None, (), Path("x"), "")
    outputs = (np.zeros((2, 1), np.float32),)
    assert METRICS["mse"].drop_high(outputs, data, outputs) is None
