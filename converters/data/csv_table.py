"""`.csv`: one sample a row, its values in the order of the flattened input.

The label stands in the column named `label`, or, where the table has exactly one column more than the
input has values, in the last. A first row that holds no number is the header. Labels that are not numbers are
class names, numbered in the project's order, else alphabetically.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import numpy as np

from edgepack.converters.data.dataset import RawData
from edgepack.targets.errors import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.converters.data.request import Request


def read(request: Request) -> RawData:
    """Read the table, which feeds the model's only input.

    Raises:
        DataError: A row is too short or long, a cell is no number, or a label is unknown.
    """
    spec = request.single_input("A .csv")
    rows = _rows(request)
    header = [cell.strip().lower() for cell in rows[0][1]] if _is_header(rows[0][1]) else None
    body = rows[1:] if header else rows
    if not body:
        request.refuse("the table holds no row of values.")
    width = len(rows[0][1])
    values = math.prod(spec.sample_shape)
    request.check_size(len(body) * values * 4, "the table")
    label_column = _label_column(request, header, width, values)
    columns = [column for column in range(width) if column != label_column]
    data = np.empty((len(body), values), dtype=np.float32)
    for index, (line, cells) in enumerate(body):
        if len(cells) != width:
            request.refuse(f"line {line} has {len(cells)} columns, the first has {width}.")
        data[index] = [_number(request, cells[column], line, column) for column in columns]
    inputs = (data.reshape(len(body), *spec.sample_shape),)
    if label_column is None:
        return RawData(inputs=inputs)
    labels, names = _labels(request, [(line, cells[label_column].strip()) for line, cells in body])
    return RawData(inputs=inputs, labels=labels, class_names=names)


def _rows(request: Request) -> list[tuple[int, list[str]]]:
    """Return each row that is not blank with its line number."""
    request.check_size(request.path.stat().st_size, "the text")
    try:
        with request.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if row]
    except (csv.Error, UnicodeDecodeError) as err:
        request.refuse(f"this is no readable .csv in UTF-8 ({err}).", cause=err)
    if not rows:
        request.refuse("the table is empty.")
    return rows


def _is_header(cells: list[str]) -> bool:
    """Return whether no cell of the first row is a number."""
    return not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _label_column(request: Request, header: list[str] | None, width: int, values: int) -> int | None:
    """Return the column of the labels; None where every column is a value."""
    if header and "label" in header:
        column: int | None = header.index("label")
    else:
        column = width - 1 if width == values + 1 else None
    found = width - (column is not None)
    if found != values:
        request.refuse(
            f"rows hold {found} values besides the label; the input takes {values}.",
            remedy="Give one column a value of the flattened input, and name the label's column 'label'.",
        )
    return column


def _number(request: Request, cell: str, line: int, column: int) -> float:
    try:
        return float(cell)
    except ValueError as err:
        request.refuse(f"line {line}, column {column + 1}: '{cell[:40]}' is no number.", cause=err)


def _labels(request: Request, cells: list[tuple[int, str]]) -> tuple[NDArray[np.generic], tuple[str, ...]]:
    """Return the labels as numbers and the class names, where they are names."""
    if all(_is_number(cell) for _, cell in cells):
        return np.array([float(cell) for _, cell in cells]), request.class_names
    names = request.class_names or tuple(sorted({cell for _, cell in cells}))
    number = {name: index for index, name in enumerate(names)}
    for line, cell in cells:
        if cell not in number:
            request.refuse(f"line {line}: class '{cell[:40]}' is not known." + nearest(cell, names))
    return np.array([number[cell] for _, cell in cells]), names
