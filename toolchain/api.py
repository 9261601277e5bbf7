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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.targets.registry import ensure_buildable, find_target
from edgepack.toolchain.build import Build
from edgepack.toolchain.build import build as run_build
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.progress import Report, silent
from edgepack.toolchain.project import Project, is_hook, load_project, package_name
from edgepack.toolchain.stages import BuildRequest, import_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgepack.converters.graph import Graph
    from edgepack.targets.model import Precision, Target
    from edgepack.toolchain.analyze.cost import ModelCost
    from edgepack.toolchain.analyze.fit import Fit
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.execute import Deployment
    from edgepack.toolchain.deploy.fleet import FleetEvent, Outcome
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.packaging.manifest import Manifest
    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.schema import RunRecord

StrPath = str | Path
_DATA_KEYS = ("representative", "evaluation", "labels")


@dataclass(frozen=True)
class BuildOptions:
    """What a caller may say about a build; None leaves it to the project file and its defaults.

    Attributes:
        name: The package's name.
        batch: Batch size of the model.
        layout: "nhwc" or "as-is": layout of the images of a PyTorch model.
        representative: Samples that calibrate.
        evaluation: Samples that judge.
        labels: Class names, one a line.
        metric: Name of the metric, or `module:function`.
        max_drop: How far the metric may fall against float, in its own unit.
        io: "int8" or "float32" inputs and outputs.
        key: The OpenSSH private key that signs.
        output: The folder for packages.
        allow_quality_drop: Let a model through that fails the quality gate.
        pack_evaluation: Put the evaluation set into the package.
    """

    name: str | None = None
    batch: int | None = None
    layout: str | None = None
    representative: StrPath | None = None
    evaluation: StrPath | None = None
    labels: StrPath | None = None
    metric: str | None = None
    max_drop: float | None = None
    io: str | None = None
    key: StrPath | None = None
    output: StrPath | None = None
    allow_quality_drop: bool = False
    pack_evaluation: bool = True


def plan_builds(
    model: StrPath | None,
    *,
    targets: Iterable[str],
    precisions: Iterable[str],
    project: StrPath | None,
    options: BuildOptions,
) -> list[BuildRequest]:
    """Return one request for each target and precision, with everything resolved.

    Raises:
        ProjectError: No model or target was named, or a file is wrong.
        TargetError: A target is unknown or cannot be built for.
        PackageError: There is no key to sign with.
    """
    from edgepack.toolchain.packaging.signature import find_key

    loaded = _with_options(load_project(Path(project) if project else None), options)
    settings = loaded.settings
    source = _absolute(loaded.model_source(str(model) if model else None))
    chosen = [find_target(name) for name in (tuple(targets) or settings.build.targets)]
    if not chosen:
        message = "No target was named, and the project names none."
        raise ProjectError(message, remedy="Name one: --target rpi (`edgepack targets` lists them).")
    for target in chosen:
        ensure_buildable(target)
    configured = Path(settings.sign.key).expanduser() if settings.sign.key else None
    key = find_key(Path(options.key) if options.key else None, os.environ, project=configured)
    return [
        BuildRequest(
            source=source,
            name=options.name or settings.model.name or package_name(source),
            target=target,
            precision=precision,
            settings=settings,
            folder=loaded.folder,
            key=key,
            output=loaded.folder / settings.build.output,
            allow_quality_drop=options.allow_quality_drop,
            pack_evaluation=options.pack_evaluation,
        )
        for target in chosen
        for precision in _precisions(precisions, settings.build.precisions, target)
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

    allowed = read_allowed_signers(Path(allowed_signers)) if allowed_signers else own_signer()
    with open_package(Path(package)) as opened:
        opened.verify_files()
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


@dataclass(frozen=True)
class Inspection:
    """What a model needs, and whether targets can run it; counted, not measured."""

    graph: Graph
    precision: str
    cost: ModelCost
    fits: tuple[Fit, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return this inspection as JSON values."""
        cost = asdict(self.cost)
        for row, value in zip(cost["operators"], self.cost.operators, strict=True):
            row["arithmetic_intensity"] = value.arithmetic_intensity
        fits = [asdict(fit) | {"runs": fit.runs} for fit in self.fits]
        return {"precision": self.precision, "cost": cost, "fits": fits}


def inspect(
    model: StrPath | None = None,
    *,
    targets: Sequence[str] = (),
    batch: int = 1,
    project: StrPath | None = None,
    report: Report = silent,
) -> Inspection:
    """Count what a model needs and hold it against targets.

    Raises:
        ConversionError: The model cannot be imported.
        TargetError: A target is unknown.
    """
    from edgepack.converters.tflite.precision import precision_of
    from edgepack.converters.tflite.reader import read_graph
    from edgepack.toolchain.analyze.cost import analyze
    from edgepack.toolchain.analyze.fit import fit

    found = [find_target(name) for name in targets]
    loaded = _with_options(load_project(Path(project) if project else None), BuildOptions(batch=batch))
    source = _absolute(loaded.model_source(str(model) if model else None))
    report("import", 0, 2)
    path = Path(source)
    if not (path.suffix == ".tflite" and batch == 1):
        path = _imported(source, loaded)
    report("count", 1, 2)
    graph = read_graph(path)
    cost = analyze(graph)
    fits = tuple(fit(graph, cost, target) for target in found)
    return Inspection(graph, precision_of(graph), cost, fits)


def _imported(source: str, loaded: Project) -> Path:
    """Return the `.tflite` of a model of another kind."""
    request = BuildRequest(
        source=source,
        name=package_name(source),
        target=find_target("rpi"),
        precision="float32",
        settings=loaded.settings,
        folder=loaded.folder,
        key=Path(),
        output=Path(),
    )
    return import_stage(request).path


def _with_options(project: Project, options: BuildOptions) -> Project:
    """Return the project with what the caller said in place of what its file says."""
    settings = project.settings
    data = {key: _absolute(str(value)) for key in _DATA_KEYS if (value := getattr(options, key)) is not None}
    sections = {
        "model": _given(batch=options.batch, layout=options.layout),
        "data": data,
        "quality": _given(metric=options.metric, max_drop=options.max_drop),
        "build": _given(io=options.io, output=_absolute(str(options.output)) if options.output else None),
    }
    updated = {
        name: getattr(settings, name).model_copy(update=values) for name, values in sections.items() if values
    }
    return project.model_copy(update={"settings": settings.model_copy(update=updated)})


def _given(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _absolute(source: str) -> str:
    """Return a path as seen from the current folder; a hook stays as it is."""
    return source if is_hook(source) else str(Path(source).expanduser().absolute())


def _precisions(
    given: Iterable[str], configured: tuple[Precision, ...], target: Target
) -> tuple[Precision, ...]:
    """Return the precisions to build: the given, else the project's, else the target's default."""
    from edgepack.targets.errors import nearest
    from edgepack.targets.model import PRECISIONS

    chosen = tuple(given) or configured or (target.default_precision,)
    for precision in chosen:
        if precision not in PRECISIONS:
            message = f"'{precision}' is no precision.{nearest(precision, PRECISIONS)}"
            raise ProjectError(message, remedy=f"Use one of: {', '.join(PRECISIONS)}.")
    return tuple(precision for precision in PRECISIONS if precision in chosen)


@dataclass(frozen=True)
class Fleet:
    """The devices that a call works on, and the inventory that they are part of."""

    lab: Lab
    devices: tuple[Device, ...]


def select_fleet(
    *,
    names: Iterable[str] = (),
    groups: Iterable[str] = (),
    everything: bool = False,
    lab: StrPath | None = None,
    project: StrPath | None = None,
) -> Fleet:
    """Return the devices that a caller means: those named, else the project's.

    Raises:
        ProjectError: The inventory is wrong, or a name or group is unknown.
    """
    from edgepack.toolchain.deploy.inventory import load_lab, select

    section = load_project(Path(project) if project else None).settings.deploy
    path = lab or section.lab
    loaded = load_lab(Path(path) if path else None)
    names, groups = tuple(names), tuple(groups)
    if not (names or groups or everything):
        names, groups = section.devices, section.groups
    return Fleet(loaded, select(loaded, names=names, groups=groups, everything=everything))


def bench_settings(
    *,
    project: StrPath | None = None,
    store: str | None = None,
    tag: str | None = None,
    **given: Any,  # noqa: ANN401 - the fields of BenchSpec
) -> Bench:
    """Return how to measure: what is given, else what `[bench]` of the project says.

    Raises:
        ProjectError: A value is wrong.
    """
    from edgepack.toolchain.config_file import validate
    from edgepack.toolchain.measure.job import BenchSpec
    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.project import BenchSection
    from edgepack.toolchain.results.store import default_location

    loaded = load_project(Path(project) if project else None)
    settings = loaded.settings
    values = settings.bench.model_dump() | _given(**given)
    section = validate(values, BenchSection, path=loaded.file or Path("[bench]"))
    location = store or settings.report.store or default_location(loaded.folder)
    return Bench(BenchSpec(**section.model_dump()), location, loaded.folder, tag)


def signers_for(device: Device) -> str | None:
    """Return the signers of a device that trusts none yet: on this machine itself, the user's own key."""
    return own_signer() if device.kind == "local" else None


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
        report: Hears what is going on.
        **spec: The fields of `BenchSpec`.

    Raises:
        EdgepackError: See `toolchain.pipeline.bench_package`.
    """
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.pipeline import bench_package

    fleet = select_fleet(names=[device], lab=lab)
    settings = bench_settings(project=project, store=store, tag=tag, **spec)
    return bench_package(Path(package), fleet.devices[0], fleet.lab, settings, report, Cancellation())


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
    parallel: int = 16,
    listen: Callable[[FleetEvent], None] | None = None,
) -> Run:
    """Deploy and measure packages on devices, all devices at once; a device that fails stops no other."""
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.pipeline import deploy_and_bench

    paths = [each.package for each in builds]

    def work(
        device: Device, report: Report, cancellation: Cancellation
    ) -> list[tuple[Deployment, RunRecord]]:
        return deploy_and_bench(paths, device, fleet.lab, settings, signers_for(device), report, cancellation)

    outcomes = run_fleet(fleet.devices, work, parallel=parallel, listen=listen)
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
    with closing(ResultStore(location)) as results:
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
