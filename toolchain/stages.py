"""The stages of a build up to the quantized model, each skipped when nothing that it reads has changed.

    import_stage ─> load_data ─> quantize_stage ─> verify_stage

Rules:
    * A stage's key is made of everything that it reads: hashes of inputs, options, versions of tools.
    * A model that came quantized stays as it is; there is no float model to compare it with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.converters.artifacts import FloatModel, Provenance, QuantizedModel, SearchStep, sha256_of
from edgepack.targets.errors import nearest
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.project import is_hook
from edgepack.toolchain.workdir import Workdir, tool_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.converters.data.dataset import Dataset
    from edgepack.converters.quantize.calibrate import Calibration
    from edgepack.converters.quantize.check import Verification
    from edgepack.converters.quantize.metrics import Metric
    from edgepack.targets.model import Precision, Target
    from edgepack.toolchain.project import Settings

TOOLS = ("edgepack", "ai-edge-litert", "litert-quantizer", "numpy")
FRAMEWORKS = ("tensorflow", "tensorflow-cpu", "keras", "litert-torch", "torch", "onnx")


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

    model = request.settings.model

    def make(folder: Path) -> Mapping[str, Any]:
        imported = import_model(
            request.source, name=request.name, batch=model.batch, folder=folder, layout=model.layout
        )
        return _dump(imported)

    reads = {
        "model": fingerprint(request.source, request.folder),
        "name": request.name,
        "batch": model.batch,
        "layout": model.layout,
        "tools": tool_versions(*TOOLS, *FRAMEWORKS),
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
    from edgepack.converters.quantize.search import LADDER, search_precision

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
        "tools": tool_versions(*TOOLS),
    }

    def ranges() -> Calibration | None:
        """Return the ranges of the activations, which all precisions of the project share."""
        if representative is None or not recipe.uses_calibration:
            return None
        return calibrate(model, representative, cache=work.root / "calibration")

    def make(folder: Path) -> Mapping[str, Any]:
        if request.precision != "auto":
            return _dump(quantize(model, recipe, representative, folder, calibration=ranges()))
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
            metric=metric_of(request),
            max_drop=settings.quality.max_drop,
            ladder=tuple(rung for rung in LADDER if rung in request.target.precisions),
        )
        for candidate in folder.glob("*.tflite"):
            if candidate != found.path:
                candidate.unlink()
        return _dump(found)

    found = _load(*work.stage("quantize", reads, make))
    assert isinstance(found, QuantizedModel)
    return found


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
    verification = verify(reference, model, data, metric_of(request))
    if not request.allow_quality_drop and data.labels is not None:
        quality = request.settings.quality
        check_gate(verification, max_drop=quality.max_drop, minimum=quality.minimum, maximum=quality.maximum)
    return verification


def metric_of(request: BuildRequest) -> Metric | None:
    """Return the project's metric; None for the one that fits the data."""
    from edgepack.converters.quantize.metrics import find_metric

    name = request.settings.quality.metric
    return None if name is None else find_metric(name, folder=request.folder)


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
    value: dict[str, Any] = {"name": model.name, "file": model.path.name, "sha256": model.sha256}
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
