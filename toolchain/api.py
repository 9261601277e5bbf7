"""The stages as a typed Python API; the command line is a thin layer over it.

    import edgepack

    built = edgepack.build("model.tflite", target="rpi", precision="int8", representative="calibration.npz")
    deployment = edgepack.deploy(built.package, device="pi4")
    record = edgepack.bench(built.package, device="pi4")

Rules:
    * What is not given comes from `edgepack.toml`, else from its defaults (`toolchain/project.py`).
    * `report(stage, done, total)` hears what is going on; nothing here prints.
"""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.build import Build
from edgepack.toolchain.build import build as run_build
from edgepack.toolchain.errors import SignatureError
from edgepack.toolchain.inspection import Inspection, inspect
from edgepack.toolchain.planning import BuildOptions, StrPath, plan_builds
from edgepack.toolchain.progress import Report, silent
from edgepack.toolchain.project import load_project
from edgepack.toolchain.selection import Fleet, bench_settings, select_fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.execute import Deployment
    from edgepack.toolchain.deploy.fleet import FleetEvent, Outcome, Revive
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.jobs import Collected
    from edgepack.toolchain.packaging.manifest import Manifest
    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.schema import RunRecord

__all__ = [
    "BuildOptions",
    "CheckedPackage",
    "Fleet",
    "Inspection",
    "Run",
    "bench",
    "bench_settings",
    "build",
    "collect",
    "deploy",
    "find_results",
    "inspect",
    "own_signer",
    "plan_builds",
    "run",
    "run_on",
    "select_fleet",
    "signers_for",
    "verify_package",
]


def build(
    model: StrPath | None = None,
    *,
    target: str | None = None,
    precision: str | None = None,
    project: StrPath | None = None,
    report: Report = silent,
    **options: Any,  # noqa: ANN401 - the fields of BuildOptions
) -> Build:
    """Build one signed package.

    Args:
        model: The model, or None for the project's.
        target: The target, or None for the project's first.
        precision: The precision, or None for the project's first, else the target's default.
        project: The project file or its folder, or None to look for one from the current folder up.
        report: Hears what is going on.
        **options: The fields of `BuildOptions`.

    Raises:
        EdgepackError: See `plan_builds` and `toolchain.build.build`.
    """
    requests = plan_builds(
        model,
        targets=[target] if target else [],
        precisions=[precision] if precision else [],
        project=project,
        options=BuildOptions(**options),
    )
    return run_build(requests[0], report)


@dataclass(frozen=True)
class CheckedPackage:
    """A package whose structure, hashes and signature were checked.

    Attributes:
        manifest: Its manifest.
        package_id: Its identity: the SHA-256 of the manifest.
        signer: The name that the allowed signers give to the key.
        fingerprint: The key's fingerprint.
    """

    manifest: Manifest
    package_id: str
    signer: str
    fingerprint: str


def verify_package(package: StrPath, *, allowed_signers: StrPath | None = None) -> CheckedPackage:
    """Check a package's structure, every file's hash and its signature.

    Args:
        package: The `.epk`.
        allowed_signers: Keys that may sign, in the format of ssh-keygen; None for the user's own key alone.

    Raises:
        PackageError: The package is malformed or a file is not what the manifest says.
        SignatureError: The signature does not verify, or its key is not allowed.
    """
    from edgepack.toolchain.packaging.archive import open_package
    from edgepack.toolchain.packaging.signature import read_allowed_signers, verify

    with open_package(Path(package)) as opened:
        opened.verify_files()
        allowed = read_allowed_signers(Path(allowed_signers)) if allowed_signers else own_signer()
        signer = verify(opened.manifest_bytes, opened.signature, allowed)
        return CheckedPackage(opened.manifest, opened.package_id, signer.principal, signer.fingerprint)


def own_signer(key: StrPath | None = None, *, project: StrPath | None = None) -> str:
    """Return the line that allows the user's own key to sign packages.

    Raises:
        SignatureError: There is no key.
    """
    from edgepack.toolchain.packaging.signature import allowed_signers_line, find_key, public_key

    configured = load_project(Path(project) if project else None).settings.sign.key
    found = find_key(Path(key) if key else None, os.environ, project=Path(configured) if configured else None)
    return allowed_signers_line(public_key(found), f"{getpass.getuser()}@{socket.gethostname()}")


def signers_for(device: Device) -> str | None:
    """Return the signers of a device that trusts none yet: for `local`, the user's own key, if any."""
    with suppress(SignatureError):
        return own_signer() if device.kind == "local" else None
    return None


def deploy(
    package: StrPath,
    *,
    device: str = "local",
    lab: StrPath | None = None,
    report: Report = silent,
) -> Deployment:
    """Install a package on a device of the inventory.

    Raises:
        EdgepackError: See `toolchain.deploy.execute.deploy`.
    """
    from edgepack.toolchain.deploy.execute import deploy as deploy_to

    fleet = select_fleet(names=[device], lab=lab)
    found = fleet.devices[0]
    return deploy_to(Path(package), found, fleet.lab, signers=signers_for(found), report=report)


def bench(
    package: StrPath,
    *,
    device: str = "local",
    lab: StrPath | None = None,
    project: StrPath | None = None,
    store: str | None = None,
    tag: str | None = None,
    labels: Mapping[str, str] | None = None,
    report: Report = silent,
    **spec: Any,  # noqa: ANN401 - the fields of BenchSpec
) -> RunRecord:
    """Measure an installed package on a device; the record is kept in the result store.

    Args:
        package: The `.epk` that is installed.
        device: The device's name in the inventory.
        lab: The inventory; None for the usual one.
        project: The project file; None to look for one.
        store: Path or URL of the result store; None for the project's.
        tag: A name for the run.
        labels: Free pairs, kept on the record.
        report: Hears what is going on.
        **spec: The fields of `BenchSpec`.

    Raises:
        EdgepackError: See `toolchain.pipeline.bench_package`.
    """
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.measure.job import Request
    from edgepack.toolchain.pipeline import bench_package

    fleet = select_fleet(names=[device], lab=lab)
    request = Request(tag, labels or {})
    settings = bench_settings(project=project, store=store, request=request, **spec)
    return bench_package(Path(package), fleet.devices[0], fleet.lab, settings, report, Cancellation())


def collect(
    *,
    device: str = "local",
    lab: StrPath | None = None,
    project: StrPath | None = None,
    store: str | None = None,
    wait: bool = False,
    all_owners: bool = False,
    report: Report = silent,
) -> Collected:
    """Bring home the records that a device has kept: of detached benchmarks, and of lost links.

    Args:
        device: The device's name in the inventory.
        lab: The inventory; None for the usual one.
        project: The project file; None to look for one.
        store: Path or URL of the result store; None for the project's.
        wait: Whether to wait for benchmarks that still run.
        all_owners: Whether those of other users come too.
        report: Hears what is going on.

    Raises:
        EdgepackError: See `toolchain.jobs.collect_from`.
    """
    from edgepack.toolchain.jobs import Choice, collect_from

    fleet = select_fleet(names=[device], lab=lab)
    home = bench_settings(project=project, store=store).home
    choice = Choice(all_owners=all_owners, wait=wait)
    return collect_from(fleet.devices[0], fleet.lab, home, choice, report)


@dataclass(frozen=True)
class Run:
    """What `run` made.

    Attributes:
        builds: The packages.
        records: One record for each package and device, where the device did not fail.
        outcomes: How it ended on each device.
    """

    builds: tuple[Build, ...]
    records: tuple[RunRecord, ...]
    outcomes: tuple[Outcome[list[tuple[Deployment, RunRecord]]], ...]


def run_on(
    builds: Sequence[Build],
    fleet: Fleet,
    settings: Bench,
    *,
    listen: Callable[[FleetEvent], None] | None = None,
    revive: Revive | None = None,
) -> Run:
    """Deploy and measure packages on devices, all devices at once; a device that fails stops no other."""
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.pipeline import deploy_and_bench

    paths = [each.package for each in builds]

    def work(
        device: Device, report: Report, cancellation: Cancellation
    ) -> list[tuple[Deployment, RunRecord]]:
        return deploy_and_bench(paths, device, fleet.lab, settings, signers_for(device), report, cancellation)

    outcomes = run_fleet(fleet.devices, work, parallel=fleet.parallel, listen=listen, revive=revive)
    records = tuple(record for outcome in outcomes for _, record in outcome.value or [])
    return Run(tuple(builds), records, tuple(outcomes))


def run(
    model: StrPath | None = None,
    *,
    targets: Sequence[str] = (),
    precisions: Sequence[str] = (),
    devices: Sequence[str] = (),
    project: StrPath | None = None,
    report: Report = silent,
    **options: Any,  # noqa: ANN401 - the fields of BuildOptions
) -> Run:
    """Do the main job: build, deploy, measure. What is not given comes from the project.

    Raises:
        EdgepackError: A build failed. What fails on a device is in `Run.outcomes`.
    """
    requests = plan_builds(
        model, targets=targets, precisions=precisions, project=project, options=BuildOptions(**options)
    )
    builds = [run_build(request, report) for request in requests]
    fleet = select_fleet(names=devices, project=project)
    return run_on(builds, fleet, bench_settings(project=project))


def find_results(
    *,
    name: str | None = None,
    device: str | None = None,
    target: str | None = None,
    tag: str | None = None,
    run_ids: Sequence[str] = (),
    newest: bool = True,
    store: str | None = None,
    project: StrPath | None = None,
) -> tuple[list[RunRecord], list[BuildSummary]]:
    """Return kept runs, and what is known of their builds.

    Args:
        name: Only this package.
        device: Only this device.
        target: Only this target.
        tag: Only runs with this tag.
        run_ids: Only these runs.
        newest: Only the newest run of each package, precision, target and device.
        store: Path or URL of the result store; None for the project's.
        project: The project file; None to look for one.

    Raises:
        ProjectError: The store cannot be used.
        MeasurementError: A run does not exist, or nothing matches.
    """
    from contextlib import closing

    from edgepack.toolchain.build import known_builds
    from edgepack.toolchain.errors import MeasurementError
    from edgepack.toolchain.results.store import ResultStore, default_location

    loaded = load_project(Path(project) if project else None)
    location = store or loaded.settings.report.store or default_location(loaded.folder)
    with closing(ResultStore(location, create=False)) as results:
        if run_ids:
            records = [results.get(run_id) for run_id in run_ids]
        else:
            records = results.find(name=name, device=device, target=target, tag=tag)
    if newest and not run_ids:
        newest_of = {(r.package.name, r.target, r.model.precision, r.device.name): r for r in records}
        records = list(newest_of.values())
    if not records:
        message = f"No run in {location} matches."
        raise MeasurementError(message, remedy="Measure first: edgepack run, or edgepack bench PACKAGE.")
    return records, known_builds(loaded.folder, {record.package.package_id for record in records})
