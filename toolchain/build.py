"""From a model file to a signed package, each stage skipped when nothing that it reads has changed.

    import ─> FloatModel ─ quantize ─> QuantizedModel ─ verify ─> Verification ─ pack ─> Package

Rules:
    * A stage's key is made of everything that it reads. The key of a whole build is made of the user's own
      files and options alone, so that a build with nothing to do loads no model and no data.
    * A model that came quantized is packed as it is; there is no float model to compare it with.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.artifacts import sha256_of
from edgepack.targets.errors import TargetError, nearest
from edgepack.toolchain.report.summary import BuildSummary, TensorQuality
from edgepack.toolchain.stages import (
    FRAMEWORKS,
    TOOLS,
    BuildRequest,
    fingerprint,
    import_stage,
    load_data,
    quantize_stage,
    verify_stage,
)
from edgepack.toolchain.workdir import tool_versions

if TYPE_CHECKING:
    from collections.abc import Collection

    from edgepack.converters.artifacts import QuantizedModel
    from edgepack.converters.data.dataset import Dataset
    from edgepack.converters.quantize.check import Verification
    from edgepack.toolchain.packaging.archive import Package
    from edgepack.toolchain.progress import Report

_STEPS = 5


@dataclass(frozen=True)
class Build:
    """What a build made.

    Attributes:
        package: The path of the signed package.
        summary: What the report says about it.
        reused: Whether nothing had changed, so that the package of an earlier build was taken.
        warnings: What looked wrong but did not stop the build.
    """

    package: Path
    summary: BuildSummary
    reused: bool
    warnings: tuple[str, ...] = ()


def build(request: BuildRequest, report: Report) -> Build:
    """Build one package, or return the one that an earlier build made of the same inputs.

    Raises:
        ConversionError: The model or the data cannot be used.
        QualityError: The quality gate failed and a drop is not allowed.
        TargetError: The target cannot run this precision.
        PackageError: The package cannot be signed.
    """
    if request.precision not in request.target.precisions:
        message = f"Target '{request.target.name}' does not run {request.precision}."
        hint = nearest(request.precision, request.target.precisions)
        raise TargetError(message + hint, remedy=f"Choose one of: {', '.join(request.target.precisions)}.")
    reads = _reads(request)
    found = request.workdir.peek("build", reads)
    folder, result = found or request.workdir.stage("build", reads, lambda into: _run(request, into, report))
    summary = BuildSummary.from_dict(result["summary"])
    package = _place(folder / summary.file_name, request.output)
    summary = replace(summary, package=package)
    return Build(package, summary, reused=found is not None, warnings=tuple(result["warnings"]))


def known_builds(folder: Path, package_ids: Collection[str]) -> list[BuildSummary]:
    """Return what is known of the packages that were built in this project."""
    found = []
    for result in sorted((folder / ".edgepack" / "build").glob("*/result.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            summary = BuildSummary.from_dict(json.loads(result.read_bytes())["summary"])
            if summary.package_id in package_ids:
                found.append(replace(summary, package=result.parent / summary.file_name))
    return found


def _run(request: BuildRequest, into: Path, report: Report) -> dict[str, Any]:
    """Run every stage; each keeps its own result, so that a later build runs only what it must."""
    report("import", 0, _STEPS)
    imported = import_stage(request)
    report("data", 1, _STEPS)
    representative, evaluation = load_data(request, imported)
    report(f"quantize to {request.precision}", 2, _STEPS)
    model = quantize_stage(request, imported, representative, evaluation)
    report("verify", 3, _STEPS)
    judge = evaluation or representative
    verification = verify_stage(request, imported, model, judge)
    report("pack and sign", 4, _STEPS)
    package = _pack(request, model, verification, judge, into)
    warnings = [w for data in (representative, evaluation) if data for w in data.warnings]
    if model.precision == "as-is":
        warnings.append(
            f"{request.source} came quantized; it is packed as it is, not as {request.precision}."
        )
    return {"summary": _summary(request, model, verification, package).to_dict(), "warnings": warnings}


def _reads(request: BuildRequest) -> dict[str, Any]:
    """Return everything that decides what a build makes, as JSON values, without loading a model or data."""
    data = request.settings.data
    return {
        "model": fingerprint(request.source, request.folder),
        "name": request.name,
        "target": asdict(request.target),
        "precision": request.precision,
        "batch": request.settings.model.batch,
        "layout": request.settings.model.layout,
        "data": data.model_dump(mode="json"),
        "data_files": [
            fingerprint(source, request.folder) for source in (data.representative, data.evaluation) if source
        ],
        "labels": fingerprint(data.labels, request.folder) if data.labels else None,
        "quality": request.settings.quality.model_dump(mode="json"),
        "io": request.settings.build.io,
        "overrides": [override.model_dump() for override in request.settings.build.overrides],
        "allow_quality_drop": request.allow_quality_drop,
        "pack_evaluation": request.pack_evaluation,
        "key": sha256_of(public) if (public := Path(f"{request.key}.pub")).is_file() else str(request.key),
        "tools": tool_versions(*TOOLS, *FRAMEWORKS) | _compilers(request),
    }


def _compilers(request: BuildRequest) -> dict[str, str]:
    """Return the C compilers that a build for a microcontroller would use: another one gives other code."""
    if request.target.family != "mcu":
        return {}
    from edgepack.converters.mcu.compilers import find_compiler

    core = None if request.target.arch == "native" else request.target.cores[0]
    chosen = {"compiler": find_compiler(core), "host compiler": find_compiler(None)}
    return {role: f"{compiler.name} {compiler.version}" for role, compiler in chosen.items()}


def _pack(
    request: BuildRequest,
    model: QuantizedModel,
    verification: Verification | None,
    data: Dataset | None,
    into: Path,
) -> Package:
    from edgepack.toolchain.packaging.pack import pack

    packed = data if request.pack_evaluation and data is not None and data.labels is not None else None
    return pack(
        model,
        name=request.name,
        target=request.target,
        samples=data,
        evaluation=packed,
        verification=verification,
        preprocessing=request.settings.data.preprocessing.model_dump(mode="json"),
        key=request.key,
        path=into / f"{request.name}-{request.target.name}-{model.precision}.epk",
    )


def _summary(
    request: BuildRequest, model: QuantizedModel, verification: Verification | None, package: Package
) -> BuildSummary:
    deployed = verification.metric_deployed if verification else None
    compared = verification if verification and model.precision != "as-is" else None
    return BuildSummary(
        name=request.name,
        target=request.target.name,
        precision=str(model.precision),
        package_id=package.package_id,
        file_name=package.path.name,
        package_bytes=package.path.stat().st_size,
        model_bytes=model.path.stat().st_size,
        metric=deployed.metric if deployed else None,
        float_value=compared.metric_float.value if compared else None,
        deployed_value=deployed.value if deployed else None,
        low=deployed.low if deployed else None,
        high=deployed.high if deployed else None,
        samples=verification.samples if verification else 0,
        top1_agreement=compared.top1_agreement if compared else None,
        worst_tensors=tuple(
            TensorQuality(t.name, t.operator, t.sqnr_db, t.max_step_error)
            for t in (compared.worst_tensors() if compared else ())
            if t.added_noise
        ),
        kept_precision=dict(model.kept_precision),
        search=model.search,
        mcu=_mcu_report(package) if request.target.family == "mcu" else None,
    )


def _mcu_report(package: Package) -> dict[str, Any]:
    """Return what the build for a microcontroller measured, which the package holds."""
    from edgepack.toolchain.packaging.archive import open_package
    from edgepack.toolchain.packaging.pack import BUILD_REPORT

    with open_package(package.path) as opened:
        found: dict[str, Any] = json.loads(opened.read(BUILD_REPORT))
        return found


def _place(package: Path, output: Path) -> Path:
    """Copy a package into the output folder by one rename, unless the same bytes lie there already."""
    destination = output / package.name
    if destination.is_file() and sha256_of(destination) == sha256_of(package):
        return destination
    output.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.partial")
    shutil.copyfile(package, partial)
    partial.replace(destination)
    return destination
