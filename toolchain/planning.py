"""What a caller says and what the project says -> one `BuildRequest` for each target and precision.

Rules:
    * What the caller does not say comes from `edgepack.toml`, else from the defaults of `project.py`.
    * A caller's paths are as seen from the current folder, the project's as seen from its file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.targets.registry import ensure_buildable, find_target
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.project import Project, is_hook, load_project, package_name
from edgepack.toolchain.stages import BuildRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.targets.model import Precision, Target

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

    loaded = with_options(load_project(Path(project) if project else None), options)
    settings = loaded.settings
    source = absolute_source(loaded.model_source(str(model) if model else None))
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


def with_options(project: Project, options: BuildOptions) -> Project:
    """Return the project with what the caller said in place of what its file says."""
    settings = project.settings
    data = {
        key: absolute_source(str(value)) for key in _DATA_KEYS if (value := getattr(options, key)) is not None
    }
    sections = {
        "model": _given(batch=options.batch, layout=options.layout),
        "data": data,
        "quality": _given(metric=options.metric, max_drop=options.max_drop),
        "build": _given(
            io=options.io, output=absolute_source(str(options.output)) if options.output else None
        ),
    }
    updated = {
        name: getattr(settings, name).model_copy(update=values) for name, values in sections.items() if values
    }
    return project.model_copy(update={"settings": settings.model_copy(update=updated)})


def _given(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def absolute_source(source: str) -> str:
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
