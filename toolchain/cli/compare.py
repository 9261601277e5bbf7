"""`edgepack compare BASE NEW`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.toolchain.cli.output import json_option, note, show_error, show_result

if TYPE_CHECKING:
    from edgepack.toolchain.comparing import Choice
    from edgepack.toolchain.results.change import Comparisons
    from edgepack.toolchain.results.gates import Bound, Gate


@click.command(name="compare", short_help="Compare runs, and fail where one is worse than a limit.")
@click.argument("base")
@click.argument("new", required=False)
@click.option("--max", "maxima", multiple=True, metavar="METRIC=LIMIT", help="May not lie above. Repeatable.")
@click.option("--min", "minima", multiple=True, metavar="METRIC=LIMIT", help="May not lie below. Repeatable.")
@click.option("--strict", is_flag=True, help="Beyond a limit fails, also where it may be noise.")
@click.option(
    "--save-baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write BASE as a file to commit; without NEW.",
)
@click.option("--name", help="Only this package.")
@click.option("--target", help="Only this target.")
@click.option("--precision", help="Only this precision.")
@click.option("--device", help="Only this device.")
@click.option(
    "--min-effect",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="Changes under this many per cent are negligible, however sure.",
)
@click.option("--all", "everything", is_flag=True, help="Show every configuration and percentile.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
@click.option("--markdown", metavar="FILE", help="Write Markdown; - prints it in place of the table.")
@click.option("--store", help="Path or URL of the result store. [default: .edgepack/results.sqlite]")
@click.option(
    "--project", type=click.Path(path_type=Path), help="The project file. [default: ./edgepack.toml]"
)
@json_option
def command(
    base: str,
    new: str | None,
    maxima: tuple[str, ...],
    minima: tuple[str, ...],
    strict: bool,
    save_baseline: Path | None,
    name: str | None,
    target: str | None,
    precision: str | None,
    device: str | None,
    min_effect: float,
    everything: bool,
    junit: Path | None,
    markdown: str | None,
    store: str | None,
    project: Path | None,
) -> int:
    """Compare two runs metric by metric, and say which changes are beyond the noise.

    BASE and NEW are files (of report --json, --save-baseline, benchmark_model or litert-benchmark), ids of
    kept runs, tags, or "latest". A LIMIT is +5% or +0B (against BASE), -0.5pp (points of a percentage), or
    20ms (a value). A gate stands on the smallest batch with its best threads; others are named so:
    latency_p90[batch=4,threads=2]=+5%, and latency_p90[*]=+5% for all.
    """
    from edgepack.toolchain.comparing import Choice, compare_runs, project_gates
    from edgepack.toolchain.errors import GateError

    choice = Choice(name, target, precision, device)
    if save_baseline is not None:
        return _save(base, new, save_baseline, choice, store, project)
    if new is None:
        message = "Missing argument 'NEW' (or --save-baseline FILE)."
        raise click.UsageError(message)
    gates = [*_gates("max", maxima), *_gates("min", minima)] or project_gates(project)
    result = compare_runs(
        base,
        new,
        gates=[replace(gate, strict=gate.strict or strict) for gate in gates],
        choice=choice,
        min_effect=min_effect / 100,
        store=store,
        project=project,
    )
    _show(result, junit=junit, markdown=markdown, everything=everything)
    if result.passed:
        return 0
    show_error(
        "A gate failed or could not be judged.", "Look at the changes above, or move the limit: --max, --min."
    )
    return GateError.exit_code


def _gates(bound: Bound, texts: tuple[str, ...]) -> list[Gate]:
    """Read limits of the command line; a wrong one is wrong usage."""
    from edgepack.toolchain.comparing import parse_gate
    from edgepack.toolchain.errors import ProjectError

    try:
        return [parse_gate(bound, text) for text in texts]
    except ProjectError as err:
        message = f"{err.message} {err.remedy}"
        raise click.BadParameter(message, param_hint=f"--{bound}") from err


def _save(
    run: str, new: str | None, file: Path, choice: Choice, store: str | None, project: Path | None
) -> int:
    from rich.text import Text

    from edgepack.toolchain.comparing import save_baseline
    from edgepack.toolchain.results.matching import describe_run

    if new is not None:
        message = "--save-baseline takes one run and compares nothing."
        raise click.UsageError(message)
    records = save_baseline(run, file, choice=choice, store=store, project=project)
    size_bytes = file.stat().st_size
    document = {"file": str(file), "size_bytes": size_bytes, "runs": [record.run_id for record in records]}
    show_result(document, *(Text(f"{describe_run(record)}: {record.run_id}") for record in records))
    note(f"Wrote {file} ({size_bytes} bytes). Commit it, then: edgepack compare {file} latest")
    return 0


def _show(result: Comparisons, *, junit: Path | None, markdown: str | None, everything: bool) -> None:
    from rich.text import Text

    from edgepack.toolchain.report.compare_json import comparison_document
    from edgepack.toolchain.report.compare_markdown import comparison_markdown
    from edgepack.toolchain.report.compare_tables import comparison_table
    from edgepack.toolchain.report.junit import junit_xml

    text = comparison_markdown(result, everything=everything) if markdown else ""
    table = comparison_table(result, everything=everything)
    show_result(comparison_document(result), Text(text.rstrip("\n")) if markdown == "-" else table)
    if junit:
        _write(junit, junit_xml(result))
    if markdown and markdown != "-":
        _write(Path(markdown), text)


def _write(path: Path, text: str) -> None:
    from edgepack.toolchain.errors import ProjectError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        message = f"{path}: cannot be written ({err.strerror})."
        raise ProjectError(message, remedy="Name a file that you may write.") from err
    note(f"Wrote {path}")
