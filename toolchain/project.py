"""`edgepack.toml` -> Project: which model, which data, which quality, which targets and devices.

Precedence, highest first: command-line flags, environment (`EDGEPACK_*`), `edgepack.toml`,
`~/.config/edgepack/config.toml` (the same keys), the defaults below. Paths in a file are relative to
that file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_config_path
from pydantic import Field, field_validator

from edgepack.targets.model import Precision
from edgepack.toolchain.config_file import Section, read_toml, validate
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.gate_section import GateSection

PROJECT_FILE = "edgepack.toml"
_TEMPLATES = Path(__file__).with_name("templates")
_PATH_KEYS = {
    "model": ("path",),
    "data": ("representative", "evaluation", "labels"),
    "sign": ("key",),
    "deploy": ("lab",),
    "report": ("output",),
    "build": ("output",),
}


class ModelSection(Section):
    """`[model]`: what to start from."""

    path: str | None = None
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    batch: int = Field(default=1, ge=1, le=1024)
    layout: Literal["nhwc", "as-is"] = "nhwc"


class PreprocessingSection(Section):
    """`[data.preprocessing]`: how raw samples become inputs: (sample * scale - mean) / std."""

    scale: float | None = Field(default=None, gt=0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    sample_rate_hz: int | None = Field(default=None, gt=0)


class DataSection(Section):
    """`[data]`: sets that calibrate and judge the model."""

    representative: str | None = None
    evaluation: str | None = None
    labels: str | None = None
    preprocessing: PreprocessingSection = Field(default_factory=PreprocessingSection)


class QualitySection(Section):
    """`[quality]`: the gate that a build must pass; limits are in the metric's own unit.

    Without `metric`, the one that fits the data: top-1, AUC or MSE, without labels agreement with float.
    """

    metric: str | None = None
    max_drop: float = Field(default=0.01, ge=0)
    minimum: float | None = None
    maximum: float | None = None


class OverrideSection(Section):
    """`[[build.overrides]]`: another precision for operators whose output tensor matches a glob."""

    pattern: str = Field(min_length=1)
    precision: Precision


class BuildSection(Section):
    """`[build]`: what to build."""

    targets: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ()
    io: Literal["int8", "float32"] = "int8"
    overrides: tuple[OverrideSection, ...] = ()
    output: str = "dist"


class SignSection(Section):
    """`[sign]`: the OpenSSH private key that signs packages."""

    key: str | None = None


class DeploySection(Section):
    """`[deploy]`: where packages go."""

    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    lab: str | None = None
    jobs: int = Field(default=16, ge=1, le=256)


class BenchSection(Section):
    """`[bench]`: what is measured, and by which rules (docs/measurement.md)."""

    batches: tuple[int, ...] = Field(default=(1, 2, 4, 8), min_length=1)
    threads: tuple[int, ...] = Field(default=(1, 2, 4), min_length=1)
    delegates: tuple[Literal["xnnpack", "none"], ...] = Field(default=("xnnpack",), min_length=1)
    quick: bool = False
    warmup_min_runs: int = Field(default=1, ge=0)
    warmup_min_seconds: float = Field(default=0.5, ge=0)
    warmup_max_seconds: float = Field(default=30.0, gt=0)
    windows: int = Field(default=5, ge=1, le=100)
    min_runs: int = Field(default=10, ge=1, le=1_000_000)
    min_seconds: float = Field(default=10.0, ge=0)
    max_seconds: float = Field(default=150.0, gt=0)
    memory: bool = True
    evaluation: bool = True
    profile: bool = False
    pin: tuple[int, ...] | None = None
    governor: str | None = Field(default=None, pattern=r"^[a-z_]{1,32}$")
    cool_to_c: float | None = Field(default=None, ge=0, le=120)
    cool_timeout_seconds: float = Field(default=300.0, ge=0)
    power: str = Field(default="auto", min_length=1, max_length=128)

    @field_validator("batches", "threads")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= number <= 1024 for number in value):
            message = "each must be between 1 and 1024"
            raise ValueError(message)
        return tuple(sorted(set(value)))

    @property
    def is_short(self) -> bool:
        """Whether the windows are fewer or shorter than the rules ask for: figures are only a look then."""
        rules = BenchSection.model_fields
        return any(getattr(self, key) < rules[key].default for key in ("windows", "min_runs", "min_seconds"))


QUICK_BENCH = {
    "windows": 5, "min_runs": 10, "min_seconds": 0.3, "warmup_min_seconds": 0.1, "warmup_max_seconds": 1.0,
    "cool_timeout_seconds": 30.0,
}  # fmt: skip
"""What `quick = true` and `--quick` say: enough for a look, and marked so on the record."""


class ReportSection(Section):
    """`[report]`: where results are kept and shown."""

    output: str = "report"
    store: str | None = None


class Settings(Section):
    """All tables of `edgepack.toml`."""

    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    quality: QualitySection = Field(default_factory=QualitySection)
    build: BuildSection = Field(default_factory=BuildSection)
    sign: SignSection = Field(default_factory=SignSection)
    deploy: DeploySection = Field(default_factory=DeploySection)
    bench: BenchSection = Field(default_factory=BenchSection)
    report: ReportSection = Field(default_factory=ReportSection)
    gate: GateSection = Field(default_factory=GateSection)


class Project(Section):
    """A project: its folder and its settings, paths made absolute.

    Attributes:
        folder: Where artifacts are kept (`.edgepack/`): the project file's folder, or the current one.
        settings: The merged settings.
        file: The project file; None where there is none.
    """

    folder: Path
    settings: Settings
    file: Path | None

    def model_source(self, given: str | None = None) -> str:
        """Return the model to build: the one given, else the project's.

        Raises:
            ProjectError: Neither exists.
        """
        source = given or self.settings.model.path
        if source is None:
            where = f"{self.file} has no model.path" if self.file else f"there is no {PROJECT_FILE} here"
            message = f"No model was named and {where}."
            raise ProjectError(message, remedy="Name one (`edgepack build MODEL`) or run `edgepack init`.")
        return source


def load_project(path: Path | None = None, *, start: Path | None = None) -> Project:
    """Read the project file and the user's own defaults.

    Args:
        path: The project file or its folder. None looks for `edgepack.toml` in `start` and above it.
        start: Where to start looking; the current folder by default.

    Raises:
        ProjectError: A file was named and does not exist, or a file is wrong.
    """
    start = (start or Path.cwd()).resolve()
    file = _find(start) if path is None else (path / PROJECT_FILE if path.is_dir() else path).resolve()
    layers: list[tuple[Path, dict[str, Any]]] = []
    user_file = user_config_path("edgepack") / "config.toml"
    for candidate in (user_file, file):
        if candidate is None or (candidate == user_file and not candidate.exists()):
            continue
        content = read_toml(candidate)
        validate(content, Settings, path=candidate)
        layers.append((candidate, _absolute_paths(content, candidate.parent)))
    merged: dict[str, Any] = {}
    for _, layer in layers:
        for table, values in layer.items():
            merged[table] = {**merged.get(table, {}), **values}
    settings = Settings.model_validate(merged)
    return Project(folder=file.parent if file else start, settings=settings, file=file)


def _find(start: Path) -> Path | None:
    """Return the nearest project file at or above a folder."""
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    return None


def _absolute_paths(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths in a file absolute; `module:function` and store URLs stay as they are."""
    result = {table: dict(values) for table, values in content.items()}
    for table, keys in _PATH_KEYS.items():
        for key in keys:
            value = result.get(table, {}).get(key)
            if isinstance(value, str) and not is_hook(value):
                result[table][key] = str((folder / Path(value).expanduser()).resolve())
    return result


def is_hook(source: str) -> bool:
    """Return whether a source is a `module:function` of the user's own code and no path."""
    module, colon, function = source.partition(":")
    return (
        bool(colon)
        and function.isidentifier()
        and all(part.isidentifier() for part in module.split("."))
        and not Path(source).exists()
    )


def package_name(source: str) -> str:
    """Return a default package name: the model file's stem, in lower case and allowed characters."""
    stem = source.partition(":")[0] if is_hook(source) else Path(source).stem
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("._-")[:64]
    return name or "model"


def write_templates(
    folder: Path, *, model: str, target: str, name: str
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Write a commented `edgepack.toml` and `lab.toml`; existing files are left as they are.

    Returns:
        The files written and the files that existed.

    Raises:
        ProjectError: The folder cannot be written, or a value cannot stand in a TOML string.
    """
    if any(character in value for value in (model, target, name) for character in '"\\\n'):
        message = "A quotation mark, backslash or line break cannot be part of a model, target or name."
        raise ProjectError(message, remedy="Rename the file, or edit edgepack.toml by hand.")
    written, kept = [], []
    for file_name in (PROJECT_FILE, "lab.toml"):
        path = folder / file_name
        if path.exists():
            kept.append(path)
            continue
        text = (_TEMPLATES / file_name).read_text(encoding="utf-8")
        for key, value in (("{model}", model), ("{target}", target), ("{name}", name)):
            text = text.replace(key, value)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as err:
            message = f"{path}: cannot be written ({err.strerror})."
            raise ProjectError(message, remedy="Name a folder that you may write.") from err
        written.append(path)
    return tuple(written), tuple(kept)
