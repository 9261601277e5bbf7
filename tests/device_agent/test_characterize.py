"""Profile and roofline by the real agent, in a job, with the real runtime."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.results.job_record import parse_job_record
from edgepack.toolchain.results.profile_record import Profile, Roofline
from tests.device_agent.conftest import OWNER, build_package
from tests.device_agent.profile_models import chain_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_agent.conftest import Agent, Key

SPEC = {
    **{"quick": True, "windows": 1, "min_runs": 3, "min_seconds": 0.01, "max_seconds": 5},
    **{"warmup_min_seconds": 0.0, "warmup_max_seconds": 0.1, "memory": False, "evaluation": False},
    **{"profile": True, "power": "none"},
}


def bench(agent: Agent, **spec: Any) -> dict[str, Any]:
    job = agent.ask("bench.start", name="dense", owner=OWNER, spec={**SPEC, **spec})["job_id"]
    assert agent.ask("jobs.wait", job_id=job)["state"] == "finished"
    return agent.fetch(job)


@pytest.fixture
def chain(agent: Agent, key: Key) -> Agent:
    """A device with a model of three FULLY_CONNECTED, 64 x 256 x 256 each, and a SOFTMAX."""
    files, changes = chain_files(64, [256, 256, 256, 256])
    package = build_package(files, key, **changes)
    agent.upload(package)
    agent.install(package)
    return agent


@pytest.mark.slow
def test_the_runtime_times_its_operators_and_the_roof_is_kept(chain: Agent, work_dir: Path) -> None:
    raw = bench(chain)
    record = parse_job_record(json.dumps(raw).encode())
    profile, roofline = record.profile, record.roofline
    assert isinstance(profile, Profile), profile
    assert profile.method == "runtime"
    kernels = [piece for piece in profile.operators if "Fully Connected" in piece.name]
    assert len(kernels) == 3
    times = sorted(piece.time_ns for piece in kernels)
    assert times[-1] < 3 * times[0], "equal operators take about equally long"
    assert sum(times) > 0.5 * profile.total_ns
    assert 0.4 < profile.total_ns / profile.plain_ns < 2.5, "operators make up the latency"
    assert isinstance(roofline, Roofline), roofline
    assert {peak.dtype for peak in roofline.peaks} == {"int8", "float32"}
    (path,) = work_dir.glob("roofline-*.json")
    kept = json.loads(path.read_bytes())
    again = bench(chain, min_runs=1)
    after = json.loads(path.read_bytes())
    assert {threads: after[threads] for threads in kept} == kept, "measured once"
    if roofline.note is None:  # on a busy machine it is measured again
        assert again["roofline"] == raw["roofline"]


@pytest.mark.slow
def test_a_model_too_fast_for_the_clock_is_cut(device: Agent, work_dir: Path) -> None:
    record = bench(device)
    profile = record["profile"]
    assert profile["method"] == "truncated"
    assert [operator["index"] for operator in profile["operators"]] == [0]
    assert "cannot fuse operators across a cut" in profile["note"]
    assert "operators are too short for" in profile["note"]
