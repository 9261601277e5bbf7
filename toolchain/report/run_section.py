"""What the HTML page shows of one run in full: tables as cells, plots as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.toolchain.report.cell_table import table
from edgepack.toolchain.report.details import (
    CONFIGURATION_COLUMNS,
    configuration_rows,
    configurations_to_draw,
    judgements,
    rejected_notes,
    run_facts,
    scenarios,
)
from edgepack.toolchain.report.operators import operator_table
from edgepack.toolchain.report.plots.canvas import color_of
from edgepack.toolchain.report.plots.power import power_plot
from edgepack.toolchain.report.plots.roofline import roofline_plot
from edgepack.toolchain.report.plots.windows import windows_plot

if TYPE_CHECKING:
    from edgepack.converters.graph import Graph
    from edgepack.toolchain.report.plots.canvas import Plot
    from edgepack.toolchain.report.view import ModelGroup, RunRow

_TEXT_COLUMNS = ("configuration", "verdict")


def run_section(
    row: RunRow, group: ModelGroup, anchor: str, *, graph: Graph | None, plots: int
) -> dict[str, Any]:
    """Return the section of one run.

    Args:
        row: The run.
        group: The model that it belongs to, for colours and builds.
        anchor: Beginning of the ids inside the section.
        graph: Its model; None where it is not at hand.
        plots: How many configurations may have plots of their windows.
    """
    record = row.record
    operators = operator_table(record, graph)
    return {
        "anchor": anchor,
        "label": row.label,
        "tag": record.tag,
        "color": color_of(record.model.precision, group.precisions),
        "p50": row.cell("p50"),
        "verdict": row.cell("verdict"),
        "quick": record.spec.quick,
        "judgements": judgements(record),
        "rejected": rejected_notes(record),
        "scenarios": scenarios(record),
        "facts": run_facts(record),
        "configurations": table(
            f"{anchor}-configurations", CONFIGURATION_COLUMNS, configuration_rows(record), left=_TEXT_COLUMNS
        ),
        "plots": _plots(row, group, plots),
        "operators": operators,
        "operator_rows": operators
        and table(f"{anchor}-operators", operators.columns, operators.rows, left=("operator", "bound by")),
        "roofline": roofline_plot(row, group, operators) if operators else None,
        "no_profile": None if operators else getattr(record.profile, "unavailable", None),
    }


def _plots(row: RunRow, group: ModelGroup, limit: int) -> list[Plot]:
    drawn: list[Plot] = []
    for found in configurations_to_draw(row, limit):
        drawn.append(windows_plot(row, group, found))
        if power := power_plot(row, group, found):
            drawn.append(power)
    return drawn
