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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.artifacts import FloatModel, Provenance, QuantizedModel, SearchStep, sha256_of
from edgepack.targets.errors import TargetError, nearest
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.project import is_hook
from edgepack.toolchain.report.summary import BuildSummary, TensorQuality
from edgepack.toolchain.workdir import Workdir, tool_versions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edgepack.converters.data.dataset import Dataset
    from edgepack.converters.quantize.check import Verification
    from edgepack.converters.quantize.metrics import Metric
    from edgepack.converters.quantize.recipe import Recipe
    from edgepack.targets.model import Precision, Target
    from edgepack.toolchain.packaging.archive import Package
    from edgepack.toolchain.progress import Report
    from edgepack.toolchain.project import Settings

_TOOLS = ("edgepack", "ai-edge-litert", "litert-quantizer", "numpy")
_FRAMEWORKS = ("tensorflow", "tensorflow-cpu", "keras", "litert-torch", "torch", "onnx")
_STEPS = 5


@dataclass(frozen=True)
class BuildRequest:
    """Everything that decides what a build makes.

    Attributes:
        source: The model: a path, or `module:function`.
        name: The package's name.
        target: What to build for.
        precision: The precision of the model, or "auto".
        settings: `[model] batch`, `[data]`, `[quality]` and `[build]` of the project.
        folder: The project's folder: hooks are imported from it, and `.edgepack/` lies in it.
        key: The OpenSSH private key that signs.
        output: The folder for the package.
        allow_quality_drop: Let a model through that fails the quality gate.
        pack_evaluation: Put the evaluation set into the package, for accuracy on the device.
    """

    source: str
    name: str
    target: Target
    precision: Precision
    settings: Settings
    folder: Path
    key: Path
    output: Path
    allow_quality_drop: bool = False
    pack_evaluation: bool = True

    @property
    def workdir(self) -> Workdir:
        """Where the artifacts of this project lie."""
        return Workdir(self.folder / ".edgepack")


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
    return Build(package, summary, reused=found is not None, warnings=tuple(result["warnings"]))


def known_builds(folder: Path, package_ids: Collection[str]) -> list[BuildSummary]:
    """Return what is known of the packages that were built in this project."""
    found = []
    for result in sorted((folder / ".edgepack" / "build").glob("*/result.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            summary = BuildSummary.from_dict(json.loads(result.read_bytes())["summary"])
            if summary.package_id in package_ids:
                found.append(summary)
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
        "tools": tool_versions(*_TOOLS, *_FRAMEWORKS),
    }


def fingerprint(source: str, folder: Path) -> str:
    """Return the hash of what a source holds; for a hook, of the user's module file.

    Raises:
        ProjectError: There is no such file, folder or module.
    """
    if is_hook(source):
        module = folder / Path(*source.partition(":")[0].split("."))
        candidates = (module.with_suffix(".py"), module / "__init__.py")
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        return source if path is None else f"{source} {sha256_of(path)}"
    path = folder / source
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        message = f"{source}: no such file or folder.{nearest(path.name, siblings)}"
        raise ProjectError(message, remedy="Correct the path on the command line or in edgepack.toml.")
    return sha256_of(path)


def import_stage(request: BuildRequest) -> FloatModel | QuantizedModel:
    """Return the user's model as a `.tflite`: a float model, or one that came quantized.

    Raises:
        ConversionError: The model cannot be imported.
    """
    from edgepack.converters.importers.registry import import_model

    batch = request.settings.model.batch

    def make(folder: Path) -> Mapping[str, Any]:
        return _dump(import_model(request.source, name=request.name, batch=batch, folder=folder))

    reads = {
        "model": fingerprint(request.source, request.folder),
        "name": request.name,
        "batch": batch,
        "tools": tool_versions(*_TOOLS, *_FRAMEWORKS),
    }
    return _load(*request.workdir.stage("import", reads, make))


def load_data(
    request: BuildRequest, model: FloatModel | QuantizedModel
) -> tuple[Dataset | None, Dataset | None]:
    """Return the representative and the evaluation set, None for one that the project does not name.

    Raises:
        DataError: A set is named and cannot be used.
    """
    from edgepack.converters.data.dataset import InputSpec, Preprocessing
    from edgepack.converters.data.load import load_dataset
    from edgepack.converters.tflite.reader import read_graph

    section = request.settings.data
    inputs = tuple(
        InputSpec(tensor.name, tensor.shape, "float32" if tensor.quantization else tensor.dtype)
        for tensor in read_graph(model.path).inputs
    )

    def load(source: str | None, role: Any) -> Dataset | None:  # noqa: ANN401 - a Literal of the loader
        if source is None:
            return None
        return load_dataset(
            source,
            role=role,
            inputs=inputs,
            folder=request.folder,
            class_names=_class_names(section.labels),
            preprocessing=Preprocessing(**section.preprocessing.model_dump()),
        )

    return load(section.representative, "representative"), load(section.evaluation, "evaluation")


def quantize_stage(
    request: BuildRequest,
    model: FloatModel | QuantizedModel,
    representative: Dataset | None,
    evaluation: Dataset | None,
) -> QuantizedModel:
    """Return the model at the requested precision; a model that came quantized stays as it is.

    Raises:
        ConversionError: The model cannot be quantized so, or `auto` has nothing to judge by.
        QualityError: `auto` found no precision that holds.
    """
    from edgepack.converters.quantize.calibrate import calibrate
    from edgepack.converters.quantize.convert import quantize
    from edgepack.converters.quantize.recipe import Override, Recipe
    from edgepack.converters.quantize.search import search_precision

    if isinstance(model, QuantizedModel):
        return model
    settings = request.settings
    overrides = tuple(Override(o.pattern, o.precision) for o in settings.build.overrides)
    recipe = Recipe(request.precision, settings.build.io, overrides)
    work = request.workdir
    reads = {
        "model": model.sha256,
        "recipe": asdict(recipe),
        "data": [None if data is None else data.sha256 for data in (representative, evaluation)],
        "preprocessing": settings.data.preprocessing.model_dump(),
        "quality": settings.quality.model_dump(mode="json") if request.precision == "auto" else None,
        "ladder": request.target.precisions,
        "tools": tool_versions(*_TOOLS),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        if request.precision != "auto":
            wanted = _needs_ranges(recipe) and representative is not None
            ranges = calibrate(model, representative, cache=work.root / "calibration") if wanted else None
            return _dump(quantize(model, recipe, representative, folder, calibration=ranges))
        judge = evaluation or representative
        if judge is None:
            message = "The precision 'auto' needs samples to judge by, and the project names none."
            raise ProjectError(
                message, remedy="Set [data] evaluation in edgepack.toml, or name one precision."
            )
        found = search_precision(
            model,
            recipe,
            representative,
            judge,
            folder,
            metric=_metric(request),
            max_drop=settings.quality.max_drop,
            **_ladder(request.target),
        )
        for candidate in folder.glob("*.tflite"):
            if candidate != found.path:
                candidate.unlink()
        return _dump(found)

    return _load(*work.stage("quantize", reads, make))


def verify_stage(
    request: BuildRequest,
    imported: FloatModel | QuantizedModel,
    model: QuantizedModel,
    data: Dataset | None,
) -> Verification | None:
    """Return how the deployed model differs from the float model; None where nothing can be compared.

    Raises:
        QualityError: The quality gate failed and a drop is not allowed.
    """
    from edgepack.converters.quantize.check import verify
    from edgepack.converters.quantize.gate import check_gate

    if data is None:
        return None
    # A model that came quantized is its own reference: its own metric still counts.
    reference = (
        imported
        if isinstance(imported, FloatModel)
        else FloatModel(imported.name, imported.path, imported.sha256, imported.provenance)
    )
    verification = verify(reference, model, data, _metric(request))
    if not request.allow_quality_drop and data.labels is not None:
        quality = request.settings.quality
        check_gate(verification, max_drop=quality.max_drop, minimum=quality.minimum, maximum=quality.maximum)
    return verification


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
        ),
        kept_precision=dict(model.kept_precision),
        search=model.search,
    )


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


def _metric(request: BuildRequest) -> Metric | None:
    from edgepack.converters.quantize.metrics import find_metric

    name = request.settings.quality.metric
    return None if name is None else find_metric(name, folder=request.folder)


def _needs_ranges(recipe: Recipe) -> bool:
    precisions = {recipe.precision, *(override.precision for override in recipe.overrides)}
    return recipe.needs_calibration or "int4" in precisions


def _ladder(target: Target) -> dict[str, Any]:
    """Return the part of the ladder of `auto` that the target can run."""
    from edgepack.converters.quantize.search import LADDER

    return {"ladder": tuple(rung for rung in LADDER if rung in target.precisions)}


def _class_names(labels: str | None) -> tuple[str, ...]:
    """Return the class names of a labels file, one a line."""
    if labels is None:
        return ()
    try:
        lines = Path(labels).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        message = f"{labels}: the class names cannot be read ({err})."
        raise ProjectError(
            message, remedy="Set [data] labels to a text file with one class name a line."
        ) from err
    return tuple(line.strip() for line in lines if line.strip())


def _dump(model: FloatModel | QuantizedModel) -> dict[str, Any]:
    """Return a model as JSON values; its path is the file's name, for its folder will be renamed."""
    value = {"name": model.name, "file": model.path.name, "sha256": model.sha256}
    value |= {"provenance": model.provenance.to_dict()}
    if isinstance(model, QuantizedModel):
        value |= {"precision": model.precision, "kept_precision": dict(model.kept_precision)}
        value |= {"search": [asdict(step) for step in model.search]}
    return value


def _load(folder: Path, value: Mapping[str, Any]) -> FloatModel | QuantizedModel:
    """Return the model that `_dump` wrote, in the folder where it lies now."""
    path, provenance = folder / value["file"], Provenance.from_dict(value["provenance"])
    if "precision" not in value:
        return FloatModel(value["name"], path, value["sha256"], provenance)
    return QuantizedModel(
        name=value["name"],
        path=path,
        sha256=value["sha256"],
        precision=value["precision"],
        provenance=provenance,
        kept_precision=value["kept_precision"],
        search=tuple(SearchStep(**{**step, "kept": tuple(step["kept"])}) for step in value["search"]),
    )
