"""Moves that need not be made: slices read where they lie, parts of a concatenation computed where they go.

    lower ──> Program ──> without_moves ──> tiers ──> plan_memory

A move of a whole block (`ep_move_bytes`) goes away in one of three ways:
    * What is moved out of a value (slice, split, read variable) becomes a view of it.
    * What is moved into a value (concatenation, pack) becomes a view of its place there.
    * A variable that is a part of a concatenation lives in it: the concatenation then keeps its bytes from
      one run to the next, and what is left is to move the new state to its place after the last reader.

Rules:
    * A view starts at a multiple of the alignment of the arena, so that kernels may load words.
    * Bytes that something reads are never written between the write that it means and its last read.
    * A value that lives in a larger one makes that one live longer: it is done only where the most bytes that
      live at one time do not grow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from edgepack.converters.mcu.ops.moves import MOVE_BYTES
from edgepack.converters.mcu.plan_memory import ALIGNMENT, lower_bound
from edgepack.converters.mcu.program import View

if TYPE_CHECKING:
    from edgepack.converters.mcu.program import Call, Program


class _Span(NamedTuple):
    """Bytes `begin` to `end` of the value that owns them."""

    owner: int
    begin: int
    end: int

    def overlaps(self, other: _Span) -> bool:
        return self.owner == other.owner and self.begin < other.end and other.begin < self.end


def without_moves(program: Program) -> Program:
    """Return the program with fewer moves and the same results, in no more memory."""
    for change in (_read_in_place, _write_in_place):
        bound, number = lower_bound(program), 0
        while number < len(program.calls):
            changed = change(program, number) if program.calls[number].kernel == MOVE_BYTES else None
            if changed is None or lower_bound(changed) > bound:
                number += 1
            else:
                program, bound = changed, lower_bound(changed)
    return _keep_states_in_place(program)


def _read_in_place(program: Program, number: int) -> Program | None:
    """Return the program with the output of a move as a view of its input; None where that cannot be."""
    call = program.calls[number]
    (source,), (output,) = call.inputs, call.outputs
    begin, size = _number(call, "input_offset"), program.values[output].size_bytes
    whole = _number(call, "output_offset") == 0 and _number(call, "size") == size
    at = program.place(source)
    writes = [i for i, other in enumerate(program.calls) if output in other.outputs]
    if not whole or _is_fixed(program, output) or output in program.views or writes != [number]:
        return None
    if at.value in program.constants or (at.offset + begin) % ALIGNMENT:
        return None
    span = _Span(at.value, at.offset + begin, at.offset + begin + size)
    later = range(number + 1, min(_last_use(program, output) + 1, len(program.calls)))
    if any(span.overlaps(written) for i in later for written in _written(program, program.calls[i])):
        return None
    return _with_view(program, number, output, View(source, begin))


def _write_in_place(program: Program, number: int) -> Program | None:
    """Return the program with the input of a move as a view of its output; None where that cannot be."""
    call = program.calls[number]
    (source,), (output,) = call.inputs, call.outputs
    begin, size = _number(call, "output_offset"), program.values[source].size_bytes
    whole = _number(call, "input_offset") == 0 and _number(call, "size") == size
    at = program.place(output)
    if not whole or source in program.views or source == at.value or (at.offset + begin) % ALIGNMENT:
        return None
    if source in program.constants or source in program.state or at.value in _state_owners(program):
        return None
    span = _Span(at.value, at.offset + begin, at.offset + begin + size)
    others = [other for i, other in enumerate(program.calls) if i != number]
    if any(span.overlaps(written) for other in others for written in _written(program, other)):
        return None
    return _with_view(program, number, source, View(output, begin))


def _keep_states_in_place(program: Program) -> Program:
    """Return the program with variables living in concatenations: all that can, or those that save memory."""
    every, bound = program, lower_bound(program)
    for state in program.state:
        every = _keep_in_place(every, state) or every
    if lower_bound(every) <= bound:
        return every
    while True:
        found = [changed for state in program.state if (changed := _keep_in_place(program, state))]
        best = min(found, key=lower_bound, default=program)
        if lower_bound(best) >= lower_bound(program):
            return program
        program = best


def _keep_in_place(program: Program, state: int) -> Program | None:
    """Return the program with a variable as a view of a value that it is moved into; None if it cannot be."""
    size = program.values[state].size_bytes
    assigns = [i for i, call in enumerate(program.calls) if state in call.outputs]
    uses = [i for i, call in enumerate(program.calls) if any(program.root(v) == state for v in call.inputs)]
    if state in program.views or len(assigns) != 1 or any(use > assigns[0] for use in uses):
        return None
    (assign,) = assigns
    for number in uses:
        call = program.calls[number]
        if call.kernel != MOVE_BYTES or number == assign:
            continue
        home = program.place(call.outputs[0])
        begin = home.offset + _number(call, "output_offset")
        source = program.place(call.inputs[0]).offset + _number(call, "input_offset")
        span = _Span(home.value, begin, begin + size)
        others = [other for i, other in enumerate(program.calls) if i not in (number, assign)]
        if (
            (source, _number(call, "size")) == (0, size)
            and not _is_fixed(program, home.value)
            and begin % ALIGNMENT == 0
            and all(program.root(output) != home.value for output in program.outputs)
            and not any(span.overlaps(written) for other in others for written in _written(program, other))
        ):
            changed = _with_view(program, number, state, View(home.value, begin))
            return _after_last_use(changed, program.calls[assign], home.value)
    return None


def _after_last_use(program: Program, assign: Call, owner: int) -> Program:
    """Return the program with a call moved behind every other one that touches a value's bytes."""
    calls = [call for call in program.calls if call is not assign]
    touching = [
        i
        for i, call in enumerate(calls)
        if any(program.root(v) == owner for v in (*call.inputs, *call.outputs))
    ]
    calls.insert(touching[-1] + 1 if touching else 0, assign)
    return replace(program, calls=tuple(calls))


def _with_view(program: Program, number: int, value: int, view: View) -> Program:
    calls = program.calls[:number] + program.calls[number + 1 :]
    return replace(program, calls=calls, views={**program.views, value: view})


def _is_fixed(program: Program, value: int) -> bool:
    """Whether a value's bytes are not the program's alone to place."""
    return value in program.inputs or value in program.constants or value in _state_owners(program)


def _state_owners(program: Program) -> set[int]:
    return {program.root(state) for state in program.state}


def _written(program: Program, call: Call) -> list[_Span]:
    """Return the bytes that a call writes."""
    spans = []
    for output in call.outputs:
        at = program.place(output)
        begin, size = at.offset, program.values[output].size_bytes
        if call.kernel == MOVE_BYTES:
            begin, size = begin + _number(call, "output_offset"), _number(call, "size")
        spans.append(_Span(at.value, begin, begin + size))
    return spans


def _last_use(program: Program, owner: int) -> int:
    """Return the last call that reads a value or a view of it; the number of calls for the caller's reads."""
    if any(program.root(output) == owner for output in program.outputs):
        return len(program.calls)
    uses = [i for i, call in enumerate(program.calls) if any(program.root(v) == owner for v in call.inputs)]
    return max(uses, default=-1)


def _number(call: Call, member: str) -> int:
    value = call.constants[member]
    assert isinstance(value, int)
    return value
