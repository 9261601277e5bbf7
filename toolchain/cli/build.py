"""`edgepack build [MODEL] --target T`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.output import json_option, note, progress, show_result, warn

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = click.Path(path_type=Path)


def build_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option that decides what is built; `build` and `run` share them."""
    options = [
        click.option("--target", "-t", "targets", multiple=True, help="What to build for. Repeatable."),
        click.option(
            "--precision",
            "-p",
            "precisions",
            multiple=True,
            help="float32, float16, dynamic-int8, int8, int16x8, int4 or auto. Repeatable.",
        ),
        click.option("--representative", help="Samples that calibrate int8 and int16x8."),
        click.option("--evaluation", help="Samples with labels that judge the model."),
        click.option("--labels", type=_FILE, help="Class names, one a line."),
        click.option("--metric", help="top1, auc, mse, agreement, fidelity or module:function."),
        click.option(
            "--max-drop", type=float, help="How far the metric may fall against float. [default: 0.01]"
        ),
        click.option(
            "--allow-quality-drop", is_flag=True, help="Let a model through that fails the quality gate."
        ),
        click.option(
            "--io",
            type=click.Choice(["int8", "float32"]),
            help="Type of inputs and outputs of an integer model.",
        ),
        click.option("--batch", type=click.IntRange(1, 1024), help="Batch size. [default: 1]"),
        click.option(
            "--layout",
            type=click.Choice(["nhwc", "as-is"]),
            help="Layout of the images of a PyTorch model. [default: nhwc]",
        ),
        click.option("--name", help="The package's name on a device."),
        click.option("--key", type=_FILE, help="The OpenSSH private key that signs."),
        click.option("--output", "-o", type=_FILE, help="The folder for packages. [default: dist]"),
        click.option(
            "--eval/--no-eval",
            "pack_evaluation",
            default=True,
            help="Pack the evaluation set, for accuracy on the device.",
        ),
        click.option("--project", type=_FILE, help="The project file. [default: ./edgepack.toml]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(name="build", short_help="Build signed packages from a model.")
@click.argument("model", required=False)
@build_options
@json_option
def command(
    model: str | None,
    targets: tuple[str, ...],
    precisions: tuple[str, ...],
    project: Path | None,
    **options: Any,  # noqa: ANN401 - the options of build_options
) -> None:
    """Import, quantize, verify, pack and sign MODEL: one package for each target and precision.

    MODEL is a .keras, .h5, .tflite, .onnx or .pt2 file, a SavedModel folder or module:function. Without it
    the project file names the model. What has not changed since the last build is not done again.
    """
    from edgepack.toolchain.api import BuildOptions, plan_builds
    from edgepack.toolchain.build import build
    from edgepack.toolchain.report.build_tables import build_table

    requests = plan_builds(
        model, targets=targets, precisions=precisions, project=project, options=BuildOptions(**options)
    )
    builds = []
    for request in requests:
        with progress(f"{request.name} for {request.target.name}") as report:
            builds.append(build(request, report))
        for warning in builds[-1].warnings:
            warn(warning)
        if builds[-1].reused:
            note(f"{builds[-1].package.name}: nothing has changed; the package of the last build was taken.")
    show_result(
        [{"package": str(b.package), "reused": b.reused, **b.summary.to_dict()} for b in builds],
        build_table([b.summary for b in builds]),
        *(f"Package: {b.package}" for b in builds),
    )
