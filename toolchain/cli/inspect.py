"""`edgepack inspect MODEL [--target T]`."""

from __future__ import annotations

from pathlib import Path

import click

from edgepack.toolchain.cli.output import json_option, progress, show_result


@click.command(name="inspect", short_help="Show what a model needs, and whether a target can run it.")
@click.argument("model", required=False)
@click.option("--target", "-t", "targets", multiple=True, help="Hold the model against a target. Repeatable.")
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True, help="Batch size.")
@click.option("--estimate-energy", is_flag=True, help="Estimate the energy of an inference, as a range.")
@click.option(
    "--project", type=click.Path(path_type=Path), help="The project file. [default: ./edgepack.toml]"
)
@json_option
def command(
    model: str | None, targets: tuple[str, ...], batch: int, estimate_energy: bool, project: Path | None
) -> None:
    """Show operators, shapes, MACs, weights, memory traffic and peak activation memory of MODEL.

    With --target: what the target does not support, whether the model fits, by how much it does not, and what
    would help. Figures are counted from the model, not measured.

    With --estimate-energy: the counts times published figures for one chip technology. Good for comparing
    models; what a device needs is measured by `edgepack bench` with a power sensor.
    """
    from edgepack.toolchain.api import inspect
    from edgepack.toolchain.report.inspect_tables import energy_card, fit_card, model_card, operator_table

    with progress("inspect") as report:
        inspection = inspect(
            model,
            targets=targets,
            batch=batch,
            estimate_energy=estimate_energy,
            project=project,
            report=report,
        )
    show_result(
        inspection.to_dict(),
        operator_table(inspection.cost),
        "",
        model_card(inspection.graph, inspection.cost, inspection.precision),
        *(("", energy_card(inspection.energy)) if inspection.energy else ()),
        *(part for fit in inspection.fits for part in ("", fit_card(fit))),
    )
