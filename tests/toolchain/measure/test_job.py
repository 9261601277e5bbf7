"""A benchmark job on the real agent: run, brought home, acknowledged, given up."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.execute import deploy
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.errors import AgentError, MeasurementError
from edgepack.toolchain.measure.job import (
    BenchSpec,
    acknowledge,
    cancel_job,
    fetch_record,
    start_job,
    wait_for_job,
)
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key
from edgepack.toolchain.results.job_record import parse_job_record

if TYPE_CHECKING:
    from edgepack.toolchain.packaging.archive import Package

QUICK = BenchSpec(
    batches=(2,), threads=(1,), warmup_min_seconds=0.0, min_runs=3, min_seconds=0.0, memory=False
)
LONG = BenchSpec(batches=(2,), threads=(1,), min_seconds=60.0, memory=False)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    create_key(path)
    return path


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Package:
    from edgepack.converters.artifacts import Provenance, QuantizedModel, sha256_of
    from edgepack.device_agent.runners.probe_model import PROBE_MODEL
    from edgepack.targets.registry import find_target
    from edgepack.toolchain.packaging.pack import pack

    path = tmp_path_factory.mktemp("package") / "add.tflite"
    path.write_bytes(PROBE_MODEL)
    content = sha256_of(path)
    model = QuantizedModel("add", path, content, "float32", Provenance("import", {"model": content}))
    return pack(
        model, name="add", target=find_target("linux-x86_64"), samples=None, evaluation=None,
        verification=None, preprocessing={}, key=key, path=path.with_suffix(".epk"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return Device(name="local", kind="local", work_dir=str(tmp_path_factory.mktemp("device") / "work"))


@pytest.fixture(scope="module")
def lab(device: Device, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(path=None, devices=(device,), known_hosts=tmp_path_factory.mktemp("lab") / "known_hosts")


@pytest.fixture(scope="module")
def installed(device: Device, lab: Lab, package: Package, key: Path) -> Package:
    deploy(package.path, device, lab, signers=allowed_signers_line(public_key(key), "ann"))
    return package


def test_record_comes_home_whole_and_stays_until_acknowledged(
    installed: Package, device: Device, lab: Lab
) -> None:
    stages: list[str] = []
    with open_session(device, lab) as session:
        job_id = start_job(session, installed.manifest, QUICK)
        wait_for_job(session, job_id, QUICK, report=lambda stage, _d, _t: stages.append(stage))
        data = fetch_record(session, job_id)
    assert any(stage.startswith("batch 2, 1 thread") for stage in stages)
    record = parse_job_record(data)
    assert record.job_id == job_id
    assert len(record.configurations[0].windows[0].samples_ns) >= 3
    with open_session(device, lab) as session:
        assert hashlib.sha256(fetch_record(session, job_id)).digest() == hashlib.sha256(data).digest()
        acknowledge(session, job_id)
        with pytest.raises(AgentError) as caught:
            fetch_record(session, job_id)
    assert caught.value.code == "no_such_job"


def test_another_version_is_not_measured(installed: Package, device: Device, lab: Lab) -> None:
    other = installed.manifest.model_copy(update={"provenance": {"another": "version"}})
    missing = installed.manifest.model_copy(update={"name": "nothing"})
    with open_session(device, lab) as session:
        with pytest.raises(
            MeasurementError, match=f"has version {installed.package_id[:12]} of 'add'"
        ) as caught:
            start_job(session, other, QUICK)
        assert "edgepack deploy PACKAGE --device local" in caught.value.remedy
        with pytest.raises(MeasurementError, match="has no version of 'nothing'"):
            start_job(session, missing, QUICK)


def test_a_job_that_is_given_up_ends_and_frees_the_device(
    installed: Package, device: Device, lab: Lab
) -> None:
    with open_session(device, lab) as session:
        job_id = start_job(session, installed.manifest, LONG)
    started = time.monotonic()
    cancel_job(device, lab, job_id)
    assert time.monotonic() - started < 30
    with open_session(device, lab) as session:
        with pytest.raises(AgentError):
            wait_for_job(session, job_id, LONG)
        again = start_job(session, installed.manifest, QUICK)
        wait_for_job(session, again, QUICK)
        acknowledge(session, again)


def test_giving_up_on_a_device_that_is_gone_is_no_error(lab: Lab, device: Device) -> None:
    gone = device.model_copy(update={"python": "/none/python3"})
    cancel_job(gone, lab, "20261122T081500-1a2b3c4d")
