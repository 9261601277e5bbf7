"""Where each value lies in the arena: lifetimes, operators that work in place, offsets.

Rules:
    * Values whose lifetimes overlap never share a byte, but where an operator may write over its input.
    * The model's inputs live from the start to their last use, its outputs from their first write to the end,
      its state always.
    * The plan is the best of several orders of first fit, then of orders that differ by a few swaps; it says
      how far from the lower bound it is: the most bytes that live at one time.

Source: Y. Pisarchyk, J. Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020),
    arXiv 2001.03288: greedy by size; the lower bound is its "operators' breadth".
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgepack.converters.mcu.program import Call, Program

ALIGNMENT = 4
"""Kernels load words; every core of ours may load bytes of a word at any address that is a multiple of 4."""
_SWAPS = 2000
_SEED = 20_261_122


@dataclass(frozen=True)
class Buffer:
    """Bytes that one or more values share.

    Attributes:
        values: The values, all at the buffer's start.
        size_bytes: Their largest size.
        first: The first call that needs it; -1 for an input of the model.
        last: The last one; the number of calls for an output of the model.
    """

    values: tuple[int, ...]
    size_bytes: int
    first: int
    last: int

    def overlaps(self, other: Buffer) -> bool:
        """Return whether both live at one time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class MemoryPlan:
    """Where everything lies.

    Attributes:
        offsets: Value to its offset in the arena, in bytes; the scratch of call i is number of values + i.
        arena_bytes: Size of the arena.
        lower_bound_bytes: The most bytes that live at one time: no plan can be smaller.
        peak_call: Index of the call at which they do.
    """

    offsets: Mapping[int, int]
    arena_bytes: int
    lower_bound_bytes: int
    peak_call: int


def plan_memory(program: Program) -> MemoryPlan:
    """Return the plan of a program's arena."""
    buffers = find_buffers(program)
    peak_call, bound = _breadth(buffers, len(program.calls))
    offsets, size = _best_fit(buffers, bound)
    placed = {
        value: offset for buffer, offset in zip(buffers, offsets, strict=True) for value in buffer.values
    }
    places = {value: program.place(value) for value in [*placed, *program.views]}
    every = {value: placed[at.value] + at.offset for value, at in places.items() if at.value in placed}
    return MemoryPlan(every, size, bound, peak_call)


def lower_bound(program: Program) -> int:
    """Return the most bytes that live at one time."""
    return _breadth(find_buffers(program), len(program.calls))[1]


def find_buffers(program: Program) -> list[Buffer]:
    """Return the buffers of a program: values that live, joined where an operator works in place."""
    span: dict[int, tuple[int, int]] = {}

    def touch(value: int, when: int) -> None:
        root = program.root(value)
        if root in program.constants:
            return
        first, last = span.get(root, (when, when))
        span[root] = (min(first, when), max(last, when))

    for value in program.inputs:
        touch(value, -1)
    for value in program.state:
        touch(value, -1)
        touch(value, len(program.calls))
    for when, call in enumerate(program.calls):
        for value in (*call.inputs, *call.outputs):
            touch(value, when)
    for value in program.outputs:
        touch(value, len(program.calls))
    scratch = {
        len(program.values) + i: c.scratch_bytes for i, c in enumerate(program.calls) if c.scratch_bytes
    }
    for value in scratch:
        span[value] = (value - len(program.values),) * 2
    groups = {root: [root] for root in span}
    home = {root: root for root in span}
    for when, call in enumerate(program.calls):
        for source, output in call.in_place:
            if program.root(source) in program.constants:
                continue
            a, b = home[program.root(source)], home[program.root(output)]
            ends_here = (
                max(span[v][1] for v in groups[a]) == when and min(span[v][0] for v in groups[b]) == when
            )
            if a != b and ends_here and _fits(program, call, source, output):
                groups[a] += groups.pop(b)
                home.update(dict.fromkeys(groups[a], a))
                break
    sizes = {value.index: value.size_bytes for value in program.values if value.index in span} | scratch
    return [_buffer(sizes, members, span) for members in groups.values()]


def _fits(program: Program, call: Call, source: int, output: int) -> bool:
    """Whether a call may write an output over a source that nobody needs afterwards.

    Both must begin where the values that own their bytes do, and no other part of the source's owner may be
    an input of the call: what is written could be what is still to be read.
    """
    a, b = program.place(source), program.place(output)
    others = {program.place(value) for value in call.inputs} - {a}
    return (
        a.offset == b.offset == 0
        and program.values[b.value].size_bytes <= program.values[a.value].size_bytes
        and all(other.value != a.value for other in others)
    )


def _buffer(sizes: Mapping[int, int], members: Sequence[int], span: Mapping[int, tuple[int, int]]) -> Buffer:
    size = max(sizes[value] for value in members)
    return Buffer(
        values=tuple(members),
        size_bytes=-(-size // ALIGNMENT) * ALIGNMENT,
        first=min(span[value][0] for value in members),
        last=max(span[value][1] for value in members),
    )


def _breadth(buffers: Iterable[Buffer], calls: int) -> tuple[int, int]:
    """Return when most bytes live, and how many."""
    alive = [sum(b.size_bytes for b in buffers if b.first <= when <= b.last) for when in range(max(calls, 1))]
    peak = max(range(len(alive)), key=alive.__getitem__)
    return peak, alive[peak]


def _best_fit(buffers: Sequence[Buffer], bound: int) -> tuple[list[int], int]:
    orders = [
        sorted(range(len(buffers)), key=lambda i: -buffers[i].size_bytes),
        sorted(
            range(len(buffers)),
            key=lambda i: -buffers[i].size_bytes * (buffers[i].last - buffers[i].first + 1),
        ),
        sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size_bytes)),
        sorted(
            range(len(buffers)), key=lambda i: (buffers[i].first - buffers[i].last, -buffers[i].size_bytes)
        ),
    ]
    best_order = min(orders, key=lambda order: _first_fit(buffers, order)[1])
    best, size = _first_fit(buffers, best_order)
    draw = random.Random(_SEED)
    for _ in range(_SWAPS if len(buffers) > 1 else 0):
        if size <= bound:
            break
        order = list(best_order)
        i, j = draw.randrange(len(order)), draw.randrange(len(order))
        order[i], order[j] = order[j], order[i]
        offsets, found = _first_fit(buffers, order)
        if found <= size:
            best_order, best, size = order, offsets, found
    return best, size


def _first_fit(buffers: Sequence[Buffer], order: Iterable[int]) -> tuple[list[int], int]:
    """Place the buffers in an order, each at the lowest offset where it fits; return offsets and size."""
    offsets = [-1] * len(buffers)
    for index in order:
        buffer = buffers[index]
        taken = sorted(
            (offsets[other], offsets[other] + buffers[other].size_bytes)
            for other in range(len(buffers))
            if offsets[other] >= 0 and buffer.overlaps(buffers[other])
        )
        offset = 0
        for begin, end in taken:
            if begin - offset >= buffer.size_bytes:
                break
            offset = max(offset, end)
        offsets[index] = offset
    size = max((o + b.size_bytes for o, b in zip(offsets, buffers, strict=True)), default=0)
    return offsets, size
