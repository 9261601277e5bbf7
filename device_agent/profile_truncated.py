"""Operators timed from outside: how much longer the model takes when it ends one operator later.

For runtimes that do not time operators themselves (tflite-runtime, LiteRT versions that were not tried).

Rules:
    * The model is cut after each operator; an operator's time is the difference between two cuts that were
      timed right after each other. Every round times all cuts, every other round backwards.
    * Its time is the median of the rounds' differences, its error what they spread. A difference may be
      negative within it, as a cheap operator's is half of the time; it is reported as it is.
    * A cut is a border across which the runtime cannot fuse operators. That is the systematic error, and
      `note` names it.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from .errors import AgentError
from .profile_cut import read_cuttable
from .profile_interpreter import ROUNDS, golden_inputs, median_and_error, open_interpreter, time_runs

if TYPE_CHECKING:
    from pathlib import Path

_BUDGET_S = 20.0
_SLOT_S = (0.02, 0.15)
_NOTE = (
    "Derived from the latency of the model cut off after each operator. The runtime cannot fuse operators "
    "across a cut: one that it would have fused into its neighbour costs more here, and the neighbour less."
)


def profile(kind: str, folder: Path, manifest: dict[str, Any], threads: int, delegate: str) -> dict[str, Any]:
    """Return a profile (`results/profile_record.py` of the host) of method "truncated".

    Raises:
        AgentError: `unsupported`: the model cannot be cut.
    """
    inputs = golden_inputs(folder, manifest)
    model = (folder / manifest["model"]).read_bytes()
    names = _operator_names(open_interpreter(kind, model, threads, "none", inputs))

    def slot(cut: bytes, seconds: float) -> list[int]:
        invoke = open_interpreter(kind, cut, threads, delegate, inputs).invoke
        time_runs(invoke, seconds / 4)
        return time_runs(invoke, seconds)

    cuts = _cuts(model, slot)
    seconds = max(_SLOT_S[0], min(_SLOT_S[1], _BUDGET_S / (ROUNDS * (len(cuts) + 1))))
    medians: list[dict[int, float]] = []
    samples = dict.fromkeys(cuts, 0)
    for turn in range(ROUNDS):
        order = sorted(cuts, reverse=bool(turn % 2))
        found = {index: slot(cuts[index], seconds) for index in order}
        medians.append({index: statistics.median(runs) for index, runs in found.items()})
        for index, runs in found.items():
            samples[index] += len(runs)
    return {**_result(medians, samples, names), "threads": threads}


def _cuts(model: bytes, slot: Any) -> dict[int, bytes]:
    """Return the models that end with each operator and load; -1 is the empty one, where that loads."""
    try:
        cuttable = read_cuttable(model)
    except ValueError as err:
        raise _unsupported(str(err)) from err
    last = len(cuttable.reads) - 1
    cuts = {last: model}
    for index in range(-1, last):
        cut = cuttable.cut_after(index)
        try:
            if cut is not None:
                slot(cut, 0.0)
                cuts[index] = cut
        except (RuntimeError, ValueError):  # the runtime does not take this cut: its operator joins the next
            continue
    if len(cuts) < 2:
        raise _unsupported("the runtime takes no part of it for a model")
    return dict(sorted(cuts.items()))


def _result(
    medians: list[dict[int, float]], samples: dict[int, int], names: dict[int, str]
) -> dict[str, Any]:
    """Return the profile, from each round's median latency of each cut."""
    cuts = sorted(samples)
    operators: list[dict[str, Any]] = []
    joined: list[str] = []
    for before, index in zip([None, *cuts], cuts):
        if before is None and index == -1:  # the empty model: what a call costs without any operator
            continue
        rounds = [found[index] - (found[before] if before is not None else 0.0) for found in medians]
        time_ns, error_ns = median_and_error(rounds)
        figures = {"time_ns": time_ns, "error_ns": error_ns, "samples": samples[index]}
        operators.append({"index": index, "partition": None, "name": names.get(index, "?"), **figures})
        skipped = range((-1 if before is None else before) + 1, index)
        joined += [f"{first} counts to {index}" for first in skipped]
    also = f" Operators that could not be cut off: {', '.join(joined)}." if joined else ""
    if cuts[0] != -1:
        also += f" Operator {cuts[0]} contains what calling the runtime costs."
    total_ns = sum(float(operator["time_ns"]) for operator in operators)
    plain_ns = int(statistics.median(found[cuts[-1]] for found in medians))
    about = {"method": "truncated", "total_ns": total_ns, "plain_ns": plain_ns}
    return {**about, "operators": operators, "note": (_NOTE + also)[:1000]}


def _operator_names(interpreter: Any) -> dict[int, str]:
    """Return what the runtime calls each operator, where it says."""
    details: list[dict[str, Any]] = getattr(interpreter, "_get_ops_details", list)()
    return {detail["index"]: str(detail["op_name"]) for detail in details}


def _unsupported(why: str) -> AgentError:
    message = f"The model cannot be profiled: {why}."
    return AgentError("unsupported", message, "Leave out --profile for this model.")
