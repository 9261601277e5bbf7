"""The main job on one screen: build, deploy, bench, keep.

    model file ─ build ─> Package ─ deploy ─> Deployment ─ bench ─> RunRecord ─ report

`build.py` holds the stages up to the package. Several devices work at once, each on its own.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edgepack import __version__
from edgepack.converters.artifacts import sha256_of
from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.execute import Deployment, deploy
from edgepack.toolchain.measure.job import (
    BenchSpec,
    acknowledge,
    cancel_job,
    fetch_record,
    start_job,
    wait_for_job,
)
from edgepack.toolchain.measure.quality import device_quality
from edgepack.toolchain.packaging.archive import open_package
from edgepack.toolchain.results.from_job import RunContext, record_from_job
from edgepack.toolchain.results.job_record import parse_job_record
from edgepack.toolchain.results.store import ResultStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.progress import Report
    from edgepack.toolchain.results.schema import RunRecord


@dataclass(frozen=True)
class Bench:
    """How packages are measured and where the records go.

    Attributes:
        spec: What is measured.
        store: Path or URL of the result store.
        folder: The project's folder.
        tag: A name for the runs.
    """

    spec: BenchSpec
    store: str
    folder: Path
    tag: str | None = None


def bench_package(
    path: Path, device: Device, lab: Lab, bench: Bench, report: Report, cancellation: Cancellation
) -> RunRecord:
    """Measure an installed package on a device, and keep the record before the device may delete its own.

    Raises:
        MeasurementError: The device has another version of the package.
        AgentError: The benchmark failed on the device.
        NetworkError: The link failed; the job goes on.
    """
    with open_package(path) as package, open_session(device, lab, cancellation=cancellation) as session:
        job_id = start_job(session, package.manifest, bench.spec)
        try:
            wait_for_job(session, job_id, bench.spec, report=report)
        except BaseException as err:
            if cancellation.cancelled or isinstance(err, KeyboardInterrupt):
                cancel_job(device, lab, job_id)
            raise
        job = parse_job_record(fetch_record(session, job_id))
        quality = device_quality(package, folder=bench.folder)
        record = record_from_job(job, package.manifest, _context(path, device, bench), quality=quality)
        with closing(ResultStore(bench.store)) as store:
            store.add(record)
        acknowledge(session, job_id)
        return record


def deploy_and_bench(
    packages: Sequence[Path],
    device: Device,
    lab: Lab,
    bench: Bench,
    signers: str | None,
    report: Report,
    cancellation: Cancellation,
) -> list[tuple[Deployment, RunRecord]]:
    """Deploy and measure each package on a device, one after the other."""
    results = []
    for path in packages:
        with_package = _prefixed(report, path.stem)
        deployment = deploy(
            path, device, lab, signers=signers, report=with_package, cancellation=cancellation
        )
        results.append((deployment, bench_package(path, device, lab, bench, with_package, cancellation)))
    return results


def _context(path: Path, device: Device, bench: Bench) -> RunContext:
    emulated = device.emulated or (
        device.target is not None and find_target(device.target).link.kind == "emulated"
    )
    return RunContext(
        device_name=device.name,
        device_kind=device.kind,
        emulated=emulated,
        time=datetime.now(timezone.utc),
        tool_version=__version__,
        package_sha256=sha256_of(path),
        tag=bench.tag,
    )


def _prefixed(report: Report, package: str) -> Report:
    """Name the package before each stage; "connect" stays as it is, for the fleet listens for it."""

    def tell(stage: str, done: int, total: int) -> None:
        report(stage if stage == "connect" else f"{package}: {stage}", done, total)

    return tell
