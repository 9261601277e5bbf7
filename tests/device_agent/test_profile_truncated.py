"""Operators timed by cutting the model off: differences between cuts, and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.device_agent import profile_truncated
from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.profile_interpreter import ROUNDS, median_and_error
from edgepack.device_agent.profile_truncated import _result
from tests.device_agent.profile_models import chain_model


def test_the_expensive_operator_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.tflite").write_bytes(chain_model(64, [256, 16, 1024, 16]))
    (tmp_path / "x.bin").write_bytes(np.ones((64, 256), "<f4").tobytes())
    inputs = [{"shape": [64, 256], "dtype": "float32"}]
    manifest = {"model": "model.tflite", "inputs": inputs, "golden": [{"inputs": ["x.bin"]}]}
    monkeypatch.setattr(profile_truncated, "_BUDGET_S", 1.0)
    found = profile_truncated.profile("litert", tmp_path, manifest, 1, "none")
    assert [piece["index"] for piece in found["operators"]] == [0, 1, 2, 3]
    assert [piece["name"] for piece in found["operators"]] == ["FULLY_CONNECTED"] * 3 + ["SOFTMAX"]
    times = [piece["time_ns"] for piece in found["operators"]]
    # MACs: 64 x 256 x 16, 64 x 16 x 1024, 64 x 1024 x 16: the first has a quarter of the others'.
    assert min(times[1], times[2]) > times[0]
    assert found["method"] == "truncated"
    assert "cannot fuse operators across a cut" in found["note"]


def test_differences_of_neighbours_negative_ones_too() -> None:
    medians = [{-1: 1000.0 + drift, 0: 5000.0 + drift, 1: 4900.0 + drift} for drift in range(0, 900, 100)]
    found = _result(medians, {-1: 90, 0: 80, 1: 70}, {0: "CONV_2D", 1: "RESHAPE"})
    first, second = found["operators"]
    assert (first["index"], first["name"], first["time_ns"], first["samples"]) == (0, "CONV_2D", 4000.0, 80)
    assert (second["time_ns"], second["error_ns"]) == (-100.0, 0.0), "drift between rounds cancels"
    assert found["total_ns"] == 3900.0
    assert found["plain_ns"] == 5300


def test_a_cut_that_does_not_load_joins_the_next_and_is_said() -> None:
    medians = [{0: 10.0, 2: 30.0}] * ROUNDS
    found = _result(medians, {0: 9, 2: 9}, {})
    assert [(piece["index"], piece["time_ns"]) for piece in found["operators"]] == [(0, 10.0), (2, 20.0)]
    assert "1 counts to 2" in found["note"]
    assert "Operator 0 contains what calling the runtime costs" in found["note"]


def test_what_cannot_be_cut_is_said() -> None:
    with pytest.raises(AgentError, match="cannot be profiled") as caught:
        profile_truncated._cuts(b"\xff" * 64, lambda *_: [])
    assert caught.value.remedy


def test_the_interval_leaves_one_disturbed_round_out() -> None:
    rounds = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 9000.0]
    assert median_and_error(rounds) == (14.0, 3.0)
    assert median_and_error([1.0, 2.0, 9.0]) == (2.0, 7.0), "too few to leave any out"


def test_the_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    draws = rng.exponential(100.0, (4000, ROUNDS))
    truth = 100.0 * float(np.log(2))
    found = [median_and_error(list(row)) for row in draws]
    covered = np.mean([abs(middle - truth) <= error for middle, error in found])
    assert covered > 0.95


def test_names_are_the_runtimes_own_where_it_says() -> None:
    class Silent:
        pass

    class Telling:
        def _get_ops_details(self) -> list[dict[str, Any]]:
            return [{"index": 0, "op_name": "ADD"}]

    assert profile_truncated._operator_names(Silent()) == {}
    assert profile_truncated._operator_names(Telling()) == {0: "ADD"}
