"""A table of cells for the page's template: headings, rows, and the numbered reasons of its dashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.report.cells import Cell


def table(
    anchor: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, left: Sequence[str]
) -> dict[str, Any]:
    """Return a table for the template.

    Args:
        anchor: Beginning of the ids of its footnotes; another one for every table of a page.
        columns: Headings.
        rows: One cell a column.
        left: Columns of words, which stand to the left; figures stand to the right.
    """
    cells = [list(row) for row in rows]
    reasons = dict.fromkeys(cell.reason for row in cells for cell in row if cell.reason)
    return {
        "anchor": anchor,
        "headings": [{"text": column, "number": column not in left} for column in columns],
        "rows": cells,
        "notes": {reason: number for number, reason in enumerate(reasons, start=1)},
    }
