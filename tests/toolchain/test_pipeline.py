"""Deploy and measure several packages on one device; giving up ends the job on the device."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.converters.artifacts import Provenance, QuantizedModel, sha256_of
from edgepack.targets.errors import EdgepackError
from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.connection import Cancellation
from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.jobs import Home
from edgepack.toolchain.measure.job import BenchSpec, Request
from edgepack.toolchain.measure.messages import Jobs
from edgepack.toolchain.packaging.pack import pack
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key
from edgepack.toolchain.pipeline import Bench, bench_package, deploy_and_bench
from edgepack.toolchain.progress import silent
from edgepack.toolchain.results.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make_package(tmp_path: Path) -> Callable[[str], Path]:
    create_key(tmp_path / "key")

    def make(name: str) -> Path:
        from edgepack.device_agent.runners.probe_model import PROBE_MODEL

        path = tmp_path / f"{name}.tflite"
        path.write_bytes(PROBE_MODEL)
        content = sha256_of(path)
        model = QuantizedModel(name, path, content, "float32", Provenance("import", {"model": content}))
        return pack(
            model, name=name, target=find_target("linux-x86_64"), samples=None, evaluation=None,
            verification=None, preprocessing={}, key=tmp_path / "key", path=path.with_suffix(".epk"),
        ).path  # fmt: skip

    return make


def test_packages_one_after_the_other_then_giving_up(
    make_package: Callable[[str], Path], tmp_path: Path
) -> None:
    device = Device(name="local", kind="local", work_dir=str(tmp_path / "device"))
    lab = Lab(path=None, devices=(device,), known_hosts=tmp_path / "known_hosts")
    packages = [make_package("one"), make_package("two")]
    signers = allowed_signers_line(public_key(tmp_path / "key"), "ann")
    quick = BenchSpec(
        (2,),
        (1,),
        windows=2,
        warmup_min_seconds=0.0,
        warmup_max_seconds=0.1,
        min_runs=3,
        min_seconds=0.0,
        memory=False,
    )
    home = Home(str(tmp_path / "results.sqlite"), tmp_path)
    bench = Bench(quick, home, Request("tagged", {"branch": "main"}))
    stages: list[str] = []
    results = deploy_and_bench(
        packages, device, lab, bench, signers, lambda stage, _d, _t: stages.append(stage), Cancellation()
    )
    assert [deployment.name for deployment, _ in results] == ["one", "two"]
    assert [record.package.name for _, record in results] == ["one", "two"]
    assert {"connect", "one: push", "two: push"} <= set(stages)
    assert all(record.labels == {"branch": "main"} for _, record in results)
    with closing(ResultStore(home.store)) as store:
        assert {record.run_id for record in store.find(tag="tagged")} == {r.run_id for _, r in results}

    cancellation = Cancellation()

    def give_up(stage: str, _done: int, _total: int) -> None:
        if stage.startswith("batch"):
            threading.Thread(target=cancellation.cancel).start()

    long = Bench(BenchSpec((2,), (1,), min_seconds=60.0, memory=False), home)
    with pytest.raises(EdgepackError):
        bench_package(packages[0], device, lab, long, give_up, cancellation)
    with open_session(device, lab) as session:
        jobs = session.request("jobs.list", Jobs).jobs
    assert [job.state for job in jobs] in ([], ["cancelled"]), "a job of nobody goes on, or records pile up"
    bench_package(packages[0], device, lab, bench, silent, Cancellation())
