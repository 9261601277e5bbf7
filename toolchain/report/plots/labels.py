"""Places for the labels of points that lie close together: on no other point, and on no other label.

A greedy search: labels are placed in the order given, each at the first free of the places around its point,
from near to far. One that finds none takes the farthest. A label away from its point has a line to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTIONS = 8
_RADII = (9.0, 15.0, 22.0, 30.0, 40.0)
_NEAR = 12.0
_GAP = 1.5


@dataclass(frozen=True)
class Mark:
    """A point with a label.

    Attributes:
        x: In points of a 72nd of an inch.
        y: Likewise.
        radius: Of its mark.
        width: Of its label.
        height: Likewise.
    """

    x: float
    y: float
    radius: float
    width: float
    height: float


@dataclass(frozen=True)
class Offset:
    """Where the middle of a label lies from its point, in points, and whether a line has to lead there."""

    dx: float
    dy: float
    leads: bool


def place_labels(marks: Sequence[Mark]) -> list[Offset]:
    """Return where each label goes."""
    taken: list[tuple[float, float, float, float]] = []
    found = []
    for mark in marks:
        offset = _free(mark, marks, taken)
        found.append(offset)
        taken.append(_box(mark, offset))
    return found


def _free(mark: Mark, marks: Sequence[Mark], taken: Sequence[tuple[float, float, float, float]]) -> Offset:
    offset = Offset(0.0, 0.0, leads=False)
    for radius in _RADII:
        for step in range(_DIRECTIONS):
            angle = pi / 2 - step * 2 * pi / _DIRECTIONS  # above first, then clockwise
            reach = mark.radius + radius
            sideways = cos(angle) * (reach - 6 + mark.width / 2)
            offset = Offset(sideways, sin(angle) * reach, leads=radius > _NEAR)
            box = _box(mark, offset)
            clear = not any(_meets(box, other) for other in taken)
            if clear and not any(_covers(box, other) for other in marks):
                return offset
    return offset


def _box(mark: Mark, offset: Offset) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a label."""
    x, y = mark.x + offset.dx, mark.y + offset.dy
    return x - mark.width / 2, y - mark.height / 2, x + mark.width / 2, y + mark.height / 2


def _meets(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return (
        one[0] < other[2] + _GAP
        and other[0] < one[2] + _GAP
        and one[1] < other[3] + _GAP
        and other[1] < one[3] + _GAP
    )


def _covers(box: tuple[float, float, float, float], mark: Mark) -> bool:
    """Return whether a label lies on the mark of a point."""
    away_x = max(box[0] - mark.x, 0.0, mark.x - box[2])
    away_y = max(box[1] - mark.y, 0.0, mark.y - box[3])
    return hypot(away_x, away_y) < mark.radius + _GAP
