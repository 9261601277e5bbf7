from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.toolchain.report.plots.labels import Mark, place_labels

_WIDTH, _HEIGHT = 6.0, 9.0


def boxes(marks):
    found = []
    for mark, offset in zip(marks, place_labels(marks), strict=True):
        x, y, half_width, half_height = (
            mark.x + offset.dx,
            mark.y + offset.dy,
            mark.width / 2,
            mark.height / 2,
        )
        found.append((x - half_width, y - half_height, x + half_width, y + half_height))
    return found


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_a_label_alone_stands_above_its_point():
    (offset,) = place_labels([Mark(50, 50, 3, _WIDTH, _HEIGHT)])
    assert abs(offset.dx) < 1e-9
    assert offset.dy > 3
    assert not offset.leads


def test_no_labels():
    assert place_labels([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=2, max_size=6))
def test_labels_of_a_cluster_do_not_overlap(places):
    marks = [Mark(x, y, 2.5, _WIDTH, _HEIGHT) for x, y in places]
    assert not any(overlap(a, b) for a, b in combinations(boxes(marks), 2))


def test_a_crowd_ends_too():
    assert len(place_labels([Mark(0, 0, 3, _WIDTH, _HEIGHT)] * 200)) == 200
