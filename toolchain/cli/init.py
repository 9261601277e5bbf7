"""`edgepack init`."""

from __future__ import annotations

from pathlib import Path

import click

from edgepack.toolchain.cli.output import json_option, note, show_result


@click.command(name="init", short_help="Write a commented edgepack.toml and lab.toml.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--model", default="model.keras", show_default=True, help="The model to build.")
@click.option("--target", default="rpi", show_default=True, help="The target to build for.")
@click.option("--name", help="The package's name. [default: the model's file name]")
@json_option
def command(folder: Path, model: str, target: str, name: str | None) -> None:
    """Write a commented edgepack.toml and lab.toml into FOLDER; existing files are left as they are."""
    from edgepack.targets.registry import find_target
    from edgepack.toolchain.project import package_name, write_templates

    find_target(target)
    written, kept = write_templates(folder, model=model, target=target, name=name or package_name(model))
    for path in kept:
        note(f"{path} exists and was left as it is.")
    lines = [f"Wrote {path}" for path in written]
    show_result(
        {"written": [str(path) for path in written], "kept": [str(path) for path in kept]},
        *lines,
        "Next: name your model and data in edgepack.toml, then `edgepack run`.",
    )
