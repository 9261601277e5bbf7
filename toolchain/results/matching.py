"""Which run of BASE belongs to which run of NEW: same package, target, precision and device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.foreign import ForeignRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.results.change import AnyRun


@dataclass(frozen=True)
class Matches:
    """Runs that belong together.

    Attributes:
        pairs: BASE and NEW.
        only_base: Runs of BASE that NEW has nothing for.
        only_new: Runs of NEW that BASE has nothing for.
    """

    pairs: tuple[tuple[AnyRun, AnyRun], ...]
    only_base: tuple[AnyRun, ...]
    only_new: tuple[AnyRun, ...]


def match_runs(base: Sequence[AnyRun], new: Sequence[AnyRun]) -> Matches:
    """Pair the runs of two sides; one run on each side is a pair, whatever the two are.

    Of several runs of the same package, target, precision and device the newest counts.

    Raises:
        MeasurementError: Nothing belongs together.
    """
    base, new = newest(base), newest(new)
    if len(base) == len(new) == 1:
        return Matches(((base[0], new[0]),), (), ())
    first, second = ({identity(run): run for run in side} for side in (base, new))
    common = [key for key in first if key in second]
    if not common:
        message = f"Nothing belongs together: BASE is {_named(base)}; NEW is {_named(new)}."
        raise MeasurementError(
            message,
            remedy="Name one run on each side, or choose with --name, --target, --precision, --device.",
        )
    return Matches(
        tuple((first[key], second[key]) for key in common),
        tuple(run for key, run in first.items() if key not in second),
        tuple(run for key, run in second.items() if key not in first),
    )


def newest(runs: Iterable[AnyRun]) -> list[AnyRun]:
    """Return the newest run of each package, target, precision and device; other tools' results stay."""
    found: dict[tuple[str, ...], AnyRun] = {}
    for run in runs:
        known = found.get(identity(run))
        if (
            known is None
            or isinstance(known, ForeignRun)
            or isinstance(run, ForeignRun)
            or run.time >= known.time
        ):
            found[identity(run)] = run
    return list(found.values())


def identity(run: AnyRun) -> tuple[str, ...]:
    """Return what two runs must share to belong together."""
    if isinstance(run, ForeignRun):
        return (run.tool, run.source)
    return (run.package.name, run.target, run.model.precision, run.device.name)


def describe_run(run: AnyRun) -> str:
    """Return what was measured, in words: "fashion int8 for rpi on pi4"."""
    if isinstance(run, ForeignRun):
        return f"{run.model or 'a model'} by {run.tool}"
    return f"{run.package.name} {run.model.precision} for {run.target} on {run.device.name}"


def _named(runs: Sequence[AnyRun]) -> str:
    return ", ".join(describe_run(run) for run in runs[:5]) + (", …" if len(runs) > 5 else "")
