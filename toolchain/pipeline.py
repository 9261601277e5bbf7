"""The main job on one screen: build, deploy, bench, keep.

    model file ─ build ─> Package ─ deploy ─> Deployment ─ bench ─> RunRecord ─ report

`build.py` holds the stages up to the package, `jobs.py` what happens to a benchmark after it was started.
Several devices work at once, each on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgepack.converters.artifacts import sha256_of
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.execute import Deployment, deploy
from edgepack.toolchain.deploy.fitness import require_fit
from edgepack.toolchain.jobs import Home, bring_home
from edgepack.toolchain.measure.attended import finished_job
from edgepack.toolchain.measure.host_meter import recorded_meter, require_attended
from edgepack.toolchain.measure.job import BenchSpec, Request, cancel_job, start_job
from edgepack.toolchain.packaging.archive import open_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.packaging.archive import OpenPackage
    from edgepack.toolchain.progress import Report
    from edgepack.toolchain.results.schema import RunRecord

_PATIENCE_S = 600.0
"""For how long a device is looked for whose link failed while this process records its meter."""


@dataclass(frozen=True)
class Bench:
    """How packages are measured and where the records go.

    Attributes:
        spec: What is measured.
        home: Where records go.
        request: Tag, labels, and what to do where somebody else works on the device.
    """

    spec: BenchSpec
    home: Home
    request: Request = field(default_factory=Request)


@dataclass(frozen=True)
class StartedJob:
    """A benchmark that goes on by itself.

    Attributes:
        device: Name of the device.
        job_id: Its identity there.
        name: The package's name.
    """

    device: str
    job_id: str
    name: str


def bench_package(
    path: Path, device: Device, lab: Lab, bench: Bench, report: Report, cancellation: Cancellation
) -> RunRecord:
    """Measure an installed package on a device, and keep the record before the device may delete its own.

    Raises:
        MeasurementError: The device has another version of the package.
        UnfitError: The device cannot be given work now.
        AgentError: The benchmark failed on the device.
        DeployError: The link failed; the job goes on.
    """
    with (
        open_package(path) as package,
        recorded_meter(device, lab, bench.spec.power, cancellation) as meter,
        open_session(device, lab, cancellation=cancellation) as session,
    ):
        if meter:
            meter.compare_clocks(session)
        job_id = _start(session, package, bench, report)
        try:
            with finished_job(
                session, job_id, bench.spec, lab,
                patience_s=_PATIENCE_S if meter else 0, report=report, cancellation=cancellation,
            ) as link:  # fmt: skip
                if meter:
                    meter.compare_clocks(link)
                sha256 = sha256_of(path)
                return bring_home(
                    link, job_id, package, bench.home, package_sha256=sha256, meter=meter, report=report
                )
        except BaseException as err:
            if cancellation.cancelled or isinstance(err, KeyboardInterrupt):
                cancel_job(device, lab, job_id)
            raise


def start_bench(
    path: Path, device: Device, lab: Lab, bench: Bench, report: Report, cancellation: Cancellation
) -> StartedJob:
    """Start a benchmark and leave it to the device; `collect` brings its record home.

    Raises as `bench_package`; and MeasurementError where the device's meter is cabled to another machine.
    """
    require_attended(device, bench.spec)
    with open_package(path) as package, open_session(device, lab, cancellation=cancellation) as session:
        return StartedJob(device.name, _start(session, package, bench, report), package.manifest.name)


def _start(session: AgentSession, package: OpenPackage, bench: Bench, report: Report) -> str:
    report("check", 0, 1)
    require_fit(session, bench.request.contention, measuring=True)
    return start_job(session, package.manifest, bench.spec, bench.request, report=report)


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
            path,
            device,
            lab,
            signers=signers,
            report=with_package,
            cancellation=cancellation,
            contention=bench.request.contention,
        )
        results.append((deployment, bench_package(path, device, lab, bench, with_package, cancellation)))
    return results


def deploy_and_start(
    path: Path,
    device: Device,
    lab: Lab,
    bench: Bench,
    signers: str | None,
    report: Report,
    cancellation: Cancellation,
) -> StartedJob:
    """Deploy a package to a device and leave its benchmark to the device."""
    require_attended(device, bench.spec)
    contention = bench.request.contention
    deploy(
        path, device, lab, signers=signers, report=report, cancellation=cancellation, contention=contention
    )
    return start_bench(path, device, lab, bench, report, cancellation)


def _prefixed(report: Report, package: str) -> Report:
    """Name the package before each stage; "connect" stays as it is, for the fleet listens for it."""

    def tell(stage: str, done: int, total: int) -> None:
        report(stage if stage == "connect" else f"{package}: {stage}", done, total)

    return tell
