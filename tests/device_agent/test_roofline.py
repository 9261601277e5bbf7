"""The device's roof: the model that is run for it, and what is measured with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.converters.tflite.reader import read_graph
from edgepack.device_agent import characterize, roofline
from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.layout import WorkDir
from edgepack.device_agent.roofline_model import fully_connected
from edgepack.device_agent.runtimes import Runtime
from tests.device_agent.conftest import run_model

RUNTIME = Runtime("system", "litert", "2.3.0", "2.4.6", None, system_site=True)


def test_the_float_model_multiplies_matrices() -> None:
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(3, 5)).astype("<f4"), rng.normal(size=(1, 4, 5)).astype("<f4")
    model = fully_connected("float32", 4, 5, 3, weights.tobytes())
    np.testing.assert_allclose(run_model(model, x)[0], x[0] @ weights.T, rtol=1e-5)
    graph = read_graph(model)
    assert [(t.dtype, t.shape) for t in graph.inputs + graph.outputs] == [
        ("float32", (4, 5)),
        ("float32", (4, 3)),
    ]


def test_the_int8_model_multiplies_matrices() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 128, (6, 64)).astype(np.int8)
    x = rng.integers(-128, 128, (1, 4, 64)).astype(np.int8)
    model = fully_connected("int8", 4, 64, 6, weights.tobytes())
    expected = x[0].astype(np.int64) @ weights.T.astype(np.int64) / 128 / 64**0.5
    found = run_model(model, x)[0].astype(np.int64)
    assert np.abs(found - np.clip(np.rint(expected), -128, 127)).max() <= 1
    tensors = {tensor.name: tensor for tensor in read_graph(model).tensors}
    assert tensors["y"].quantization.scale[0] == pytest.approx(64**0.5 / 128)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_there_is_no_zero_for_sparse_kernels(dtype: str) -> None:
    values = roofline._values(np.random.default_rng(0), dtype, (256, 256))
    assert (values != 0).all()
    assert values.dtype == dtype


def test_more_than_one_thread_reads_the_whole_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "_BANDWIDTH_S", 0.01)
    for threads in (1, 2):
        rate = roofline._read_rate(1 << 20, threads, "maximum")
        assert 1e8 < rate < 1e13


def test_measured_in_a_child_of_its_own() -> None:
    """With NumPy's own threads set before it is loaded; bounded in time."""
    code = "import json, sys; from edgepack.device_agent.roofline import measure; "
    code += "sys.stdout.write(json.dumps(measure('litert', 1)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    assert [peak["dtype"] for peak in found["peaks"]] == ["int8", "float32"]
    assert all(1e7 < peak["macs_per_s"] < 1e14 for peak in found["peaks"])
    sizes = [entry["working_set_bytes"] for entry in found["bandwidths"]]
    assert sizes[0] == 4096 and sizes[-1] > 1 << 20
    assert all(1e7 < entry["bytes_per_s"] < 1e13 for entry in found["bandwidths"])


class Child:
    """Answers as a child would, and counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.broken = False
        self.disturbed = False

    def __call__(self, operation: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        self.asked.append((operation, fields.get("method") or fields["threads"]))
        if operation == "profile":
            if fields["method"] == "runtime" and self.broken:
                raise AgentError("runtime_broken", "The runtime crashed with SIGSEGV.", "remedy")
            return {"method": fields["method"], "note": "Derived." if self.broken else None}
        threads = fields["threads"]
        part = {"peaks": [{"threads": threads}], "bandwidths": [{"threads": threads}]}
        return {**part, "disturbed": self.disturbed}


def spec(**changes: Any) -> dict[str, Any]:
    return {"threads": [2], "delegates": ["xnnpack"], "pin": [0, 1, 2, 3], **changes}


def test_what_is_kept_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, child = WorkDir(tmp_path), Child()
    first = characterize.characterize(work, child, RUNTIME, spec(), "")["roofline"]
    assert [n for operation, n in child.asked if operation == "roofline"] == [1, 2, 4]
    assert [peak["threads"] for peak in first["peaks"]] == [1, 2, 4]
    child.asked.clear()
    assert characterize.characterize(work, child, RUNTIME, spec(), "")["roofline"] == first
    assert [operation for operation, _ in child.asked] == ["profile"]
    child.asked.clear()
    characterize.characterize(work, child, RUNTIME, spec(threads=[3]), "")
    assert ("roofline", 3) in child.asked and ("roofline", 1) not in child.asked
    child.asked.clear()
    other = Runtime("system", "litert", "2.4.0", "2.4.6", None, system_site=True)
    characterize.characterize(work, child, other, spec(), "")
    assert [n for operation, n in child.asked if operation == "roofline"] == [1, 2, 4], "another runtime"
    child.asked.clear()
    monkeypatch.setattr(characterize, "_MAX_AGE_NS", 0)
    characterize.characterize(work, child, RUNTIME, spec(), "")
    assert [n for operation, n in child.asked if operation == "roofline"] == [1, 2, 4], "too old"


def test_a_disturbed_measurement_is_said_and_not_kept(tmp_path: Path) -> None:
    work, child = WorkDir(tmp_path), Child()
    child.disturbed = True
    found = characterize.characterize(work, child, RUNTIME, spec(), "")["roofline"]
    assert "measured again" in found["note"]
    child.asked.clear()
    child.disturbed = False
    again = characterize.characterize(work, child, RUNTIME, spec(), "")["roofline"]
    assert [n for operation, n in child.asked if operation == "roofline"] == [1, 2, 4]
    assert again["note"] is None


def test_a_damaged_file_is_measured_anew(tmp_path: Path) -> None:
    work, child = WorkDir(tmp_path), Child()
    characterize.characterize(work, child, RUNTIME, spec(), "")
    (kept,) = tmp_path.glob("roofline-*.json")
    for damage in (b"", b"[]", b'{"1": 5}', b'{"1": {"peaks": []}}'):
        kept.write_bytes(damage)
        found = characterize.characterize(work, child, RUNTIME, spec(), "")["roofline"]
        assert [peak["threads"] for peak in found["peaks"]] == [1, 2, 4]


def test_a_runtime_that_crashes_while_profiling_is_cut_instead(tmp_path: Path) -> None:
    child = Child()
    child.broken = True
    found = characterize.characterize(WorkDir(tmp_path), child, RUNTIME, spec(), "")["profile"]
    assert found["method"] == "truncated"
    assert found["note"] == "Derived. Not timed by the runtime itself: The runtime crashed with SIGSEGV."


def test_a_failure_of_one_leaves_the_other(tmp_path: Path) -> None:
    def child(operation: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        if operation == "profile":
            raise AgentError("unsupported", "The model cannot be profiled: x.", "remedy")
        return Child()(operation, timeout_s, **fields)

    found = characterize.characterize(WorkDir(tmp_path), child, RUNTIME, spec(), "")
    assert found["profile"] == {"unavailable": "The model cannot be profiled: x."}
    assert found["roofline"]["peaks"]
