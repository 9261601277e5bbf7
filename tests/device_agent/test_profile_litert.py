"""Operators timed by LiteRT: the real library, and the reading of its events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.device_agent import profile_litert
from edgepack.device_agent.profile_litert import UnsupportedProfileError, _pieces, _resolved, _typical
from tests.device_agent.profile_models import chain_model

OPERATOR, DELEGATED, RUN = 2, 8, 1


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    """A model of three equal FULLY_CONNECTED and a SOFTMAX, and short rounds."""
    (tmp_path / "model.tflite").write_bytes(chain_model(64, [256, 256, 256, 256]))
    (tmp_path / "x.bin").write_bytes(np.random.default_rng(0).normal(size=(64, 256)).astype("<f4").tobytes())
    monkeypatch.setattr(profile_litert, "_ROUND_S", 0.02)
    inputs = [{"shape": [64, 256], "dtype": "float32"}]
    return tmp_path, {"model": "model.tflite", "inputs": inputs, "golden": [{"inputs": ["x.bin"]}]}


@pytest.mark.parametrize(("delegate", "kind"), [("xnnpack", "Fully Connected"), ("none", "FULLY_CONNECTED")])
def test_the_real_runtime_times_every_operator(
    package: tuple[Path, dict[str, Any]], delegate: str, kind: str
) -> None:
    found = profile_litert.profile("litert", *package, 1, delegate)
    dense = [piece for piece in found["operators"] if piece["name"].startswith(kind)]
    assert len(dense) == 3
    assert all((piece["index"] is None) == (delegate == "xnnpack") for piece in dense)
    assert all(piece["time_ns"] > 0 and piece["samples"] >= 9 for piece in dense)
    assert found["total_ns"] == pytest.approx(sum(piece["time_ns"] for piece in found["operators"]))
    assert 0.3 < found["total_ns"] / found["plain_ns"] < 3
    if delegate == "none":
        assert [piece["index"] for piece in found["operators"]] == [0, 1, 2, 3]


def test_other_runtimes_and_versions_are_refused(
    package: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsupportedProfileError, match="tflite-runtime does not time"):
        profile_litert.profile("tflite-runtime", *package, 1, "xnnpack")
    monkeypatch.setattr("ai_edge_litert.__version__", "9.9.9")
    with pytest.raises(UnsupportedProfileError, match=r"LiteRT 9\.9\.9 has not been tried; .*2\.3\.0"):
        profile_litert.profile("litert", *package, 1, "xnnpack")


def test_events_become_operators_and_kernels_by_partition() -> None:
    events = [
        ("Invoke", RUN, 90, 0, 0),
        ("Convolution (NHWC, QC8) IGEMM", DELEGATED, 50, 0, 0),
        ("Clamp (NC)", DELEGATED, 0, 1, 0),
        ("AVERAGE_POOL_2D", OPERATOR, 3, 9, 0),
        ("Fully Connected (NC, F32) GEMM", DELEGATED, 7, 0, 0),
        ("SOFTMAX", OPERATOR, 1, 12, 0),
    ]
    found = _pieces(events)
    assert [(piece.index, piece.partition) for piece, _ in found] == [
        *((None, 0), (None, 0), (9, None), (None, 1), (12, None))
    ]
    assert [elapsed for _, elapsed in found] == [50, 0, 3, 7, 1]


def test_operators_of_another_subgraph_are_refused() -> None:
    with pytest.raises(UnsupportedProfileError, match="several subgraphs"):
        _pieces([("ADD", OPERATOR, 1, 0, 1)])


def test_what_the_clock_of_xnnpack_cuts_off_is_in_the_time_or_in_the_error() -> None:
    (kernel, _), (operator, _) = _pieces([("Add (ND)", DELEGATED, 1, 0, 0), ("ADD", OPERATOR, 1, 1, 0)])
    assert _resolved(operator, 2400.0, 10.0) == (2400.0, 10.0)
    assert _resolved(kernel, 2400.0, 10.0) == (2900.0, 510.0)
    assert _resolved(kernel, 40.0, 10.0) == (40.0, 1010.0)


def test_the_middle_half_of_the_runs_counts() -> None:
    piece = _pieces([("ADD", OPERATOR, 1, 0, 0)])[0][0]
    runs = [[(piece, elapsed)] for elapsed in (900, 11, 10, 12, 13, 1, 14, 800)]
    assert [run[0][1] for run in _typical(runs)] == [11, 12, 13, 14]
    assert len(_typical(runs[:3])) == 3
