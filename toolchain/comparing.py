"""Compare kept runs, files and tags: the stage behind `edgepack compare`.

from edgepack.toolchain.comparing import compare_runs, parse_gate

result = compare_runs("baseline.json", "latest", gates=[parse_gate("max", "latency_p90=+5%")])
assert result.passed
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import MeasurementError, ProjectError
from edgepack.toolchain.project import load_project
from edgepack.toolchain.results.baseline import baseline_text
from edgepack.toolchain.results.change import Comparisons
from edgepack.toolchain.results.compare import MIN_EFFECT, compare
from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.gates import Gate, parse_gate
from edgepack.toolchain.results.matching import describe_run, match_runs, newest
from edgepack.toolchain.results.run_files import read_runs

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from edgepack.toolchain.results.change import AnyRun
    from edgepack.toolchain.results.schema import RunRecord
    from edgepack.toolchain.results.store import ResultStore

__all__ = [
    "Choice",
    "Comparisons",
    "compare_runs",
    "compare_with_baseline",
    "parse_gate",
    "project_gates",
    "save_baseline",
]

LATEST = "latest"
_FILE_ENDINGS = (".json", ".gz", ".txt", ".log", ".pb", ".pbtxt")


@dataclass(frozen=True)
class Choice:
    """Which runs of a file, tag or store are meant; None takes all.

    Attributes:
        name: Name of the package.
        target: Name of the target.
        precision: Precision of the model.
        device: Name of the device.
    """

    name: str | None = None
    target: str | None = None
    precision: str | None = None
    device: str | None = None

    def takes(self, run: AnyRun) -> bool:
        """Return whether a run is meant; another tool's result always is."""
        if isinstance(run, ForeignRun):
            return True
        return (
            self.name in (None, run.package.name)
            and self.target in (None, run.target)
            and self.precision in (None, run.model.precision)
            and self.device in (None, run.device.name)
        )


def compare_runs(
    base: str | os.PathLike[str],
    new: str | os.PathLike[str],
    *,
    gates: Sequence[Gate] = (),
    choice: Choice = Choice(),
    min_effect: float = MIN_EFFECT,
    store: str | None = None,
    project: str | os.PathLike[str] | None = None,
) -> Comparisons:
    """Compare runs, and judge the gates.

    Args:
        base: A file, the id of a kept run, a tag, or "latest".
        new: The same.
        gates: Limits, from `parse_gate`.
        choice: Which of the runs are meant.
        min_effect: A relative change under this is negligible, however sure it is.
        store: Path or URL of the result store; None for the project's.
        project: The project file; None to look for one.

    Raises:
        MeasurementError: A file, run or tag does not exist, or nothing belongs together.
        ProjectError: A gate does not fit its metric, or the store cannot be used.
    """
    sides = [_resolve(str(each), choice, store, project) for each in (base, new)]
    matches = match_runs(sides[0], sides[1])
    for before, after in matches.pairs:
        if str(new) == LATEST and before.run_id == after.run_id:
            message = f"The newest run of {describe_run(after)} is BASE itself ({after.run_id})."
            raise MeasurementError(message, remedy="Measure again first: edgepack bench PACKAGE.")
    return Comparisons(
        tuple(compare(*pair, gates, min_effect=min_effect) for pair in matches.pairs),
        tuple(describe_run(run) for run in matches.only_base),
        tuple(describe_run(run) for run in matches.only_new),
        tuple(gates),
    )


def compare_with_baseline(
    base: str | os.PathLike[str],
    records: Sequence[RunRecord],
    *,
    gates: Sequence[Gate] = (),
    store: str | None = None,
    project: str | os.PathLike[str] | None = None,
) -> Comparisons:
    """Compare runs that are at hand with a baseline, each with the run of it that it belongs to.

    Args:
        base: A file, the id of a kept run, a tag, or "latest".
        records: The runs to judge; one that is the baseline itself is left out.
        gates: Limits, from `parse_gate`.
        store: Path or URL of the result store; None for the project's.
        project: The project file; None to look for one.

    Raises:
        MeasurementError: The file, run or tag does not exist, or nothing belongs together.
        ProjectError: A gate does not fit its metric, or the store cannot be used.
    """
    matches = match_runs(_resolve(str(base), Choice(), store, project), records)
    pairs = [pair for pair in matches.pairs if pair[0].run_id != pair[1].run_id]
    return Comparisons(
        tuple(compare(*pair, gates) for pair in pairs),
        tuple(describe_run(run) for run in matches.only_base),
        tuple(describe_run(run) for run in matches.only_new),
        tuple(gates),
    )


def save_baseline(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    *,
    choice: Choice = Choice(),
    store: str | None = None,
    project: str | os.PathLike[str] | None = None,
) -> list[RunRecord]:
    """Write runs as a baseline file to commit, and return them.

    Args:
        run: A file, the id of a kept run, a tag, or "latest".
        file: Where to write; an existing file is replaced by one rename.
        choice: Which of the runs are meant.
        store: Path or URL of the result store; None for the project's.
        project: The project file; None to look for one.

    Raises:
        MeasurementError: There is no such run, or it is another tool's result.
        ProjectError: The file cannot be written.
    """
    records: list[RunRecord] = []
    for found in newest(_resolve(str(run), choice, store, project)):
        if isinstance(found, ForeignRun):
            message = (
                f"{found.source} is a summary by {found.tool}: it has no samples to judge later runs by."
            )
            raise MeasurementError(message, remedy="Commit that file itself and compare with it.")
        records.append(found)
    path = Path(file)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(baseline_text(records), encoding="utf-8")
        partial.replace(path)
    except OSError as err:
        message = f"{path}: cannot be written ({err.strerror})."
        raise ProjectError(message, remedy="Name a file that you may write: --save-baseline FILE") from err
    return records


def project_gates(project: str | os.PathLike[str] | None = None) -> tuple[Gate, ...]:
    """Return the gates of the project file's `[gate]` table; none where it has no such table.

    Raises:
        ProjectError: The project file is wrong.
    """
    return load_project(Path(project) if project else None).settings.gate.gates()


def _resolve(
    text: str, choice: Choice, store: str | None, project: str | os.PathLike[str] | None
) -> list[AnyRun]:
    runs = _read(text, store, project)
    taken = [run for run in runs if choice.takes(run)]
    if not taken:
        message = (
            f"'{text}' holds {len(runs)} runs, none of the chosen package, target, precision and device."
        )
        raise MeasurementError(message, remedy="Look at them: edgepack report --all-runs.")
    return taken


def _read(text: str, store: str | None, project: str | os.PathLike[str] | None) -> list[AnyRun]:
    path = Path(text)
    if path.is_file() or "/" in text or path.suffix in _FILE_ENDINGS:
        return read_runs(path)
    from edgepack.toolchain.results.store import ResultStore, default_location

    loaded = load_project(Path(project) if project else None)
    location = store or loaded.settings.report.store or default_location(loaded.folder)
    with closing(ResultStore(location, create=False)) as results:
        return list(_kept(results, text))


def _kept(results: ResultStore, text: str) -> Sequence[AnyRun]:
    if found := results.find() if text == LATEST else results.find(tag=text):
        return newest(found)
    try:
        return [results.get(text)]
    except MeasurementError as err:
        message = f"'{text}' is no file and no tag. {err.message}"
        raise MeasurementError(message, remedy="List the runs with `edgepack report --all-runs`.") from err
