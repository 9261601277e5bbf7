"""What a person and a program see: the only file that prints.

Rules:
    * A verb's result goes to stdout; what happens meanwhile, warnings and errors go to stderr.
    * Under `--json` stdout holds exactly one JSON document, also when the verb fails.
    * `NO_COLOR` is honoured and a pipe gets plain text (rich does both).
"""

from __future__ import annotations

import functools
import json
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console, RenderableType

    Report = Callable[[str, int, int], None]

CommandT = TypeVar("CommandT", bound="Callable[..., Any]")

_JSON_KEY = "edgepack.json"


def json_option(command: CommandT) -> CommandT:
    """Give a command the `--json` flag."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.find_root().meta[_JSON_KEY] = value
        _State.json = value

    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=remember,
        is_eager=True,
        help="Print one JSON document on stdout.",
    )
    return option(command)


class _State:
    """Whether this invocation speaks JSON; set by the flag, read when the result or failure is shown."""

    json = False


@functools.lru_cache(maxsize=2)
def console(*, stderr: bool) -> Console:
    """Return rich's console for stdout or stderr."""
    from rich.console import Console

    plain = not (sys.stderr if stderr else sys.stdout).isatty()
    # A pipe has no width of its own; wide enough that no table cell is cut.
    return Console(stderr=stderr, highlight=False, width=160 if plain else None, soft_wrap=plain)


def show_result(document: Any, *human: RenderableType) -> None:  # noqa: ANN401 - any JSON value
    """Show what a verb has to say: the document under `--json`, else the human parts."""
    if _State.json:
        print(json.dumps(document, indent=2, sort_keys=False, default=str))
        return
    for part in human:
        console(stderr=False).print(part)


def note(message: str) -> None:
    """Tell a person what happens, on stderr."""
    console(stderr=True).print(message, markup=False)


def warn(message: str) -> None:
    """Warn a person, on stderr."""
    from rich.text import Text

    console(stderr=True).print(Text.assemble(("warning: ", "bold yellow"), message))


def show_failure(kind: str, message: str, remedy: str, exit_code: int) -> None:
    """Show a failure: two lines on stderr and, under `--json`, a document on stdout."""
    if _State.json:
        failure = {"kind": kind, "message": message, "remedy": remedy, "exit_code": exit_code}
        print(json.dumps({"error": failure}, indent=2))
    show_error(message, remedy)


def show_error(message: str, remedy: str) -> None:
    """Tell a person what failed and what to do, two lines on stderr."""
    from rich.text import Text

    stderr = console(stderr=True)
    stderr.print(Text.assemble(("error: ", "bold red"), message))
    stderr.print(Text.assemble(("  help: ", "bold"), remedy))


def stray_prints_to_stderr() -> AbstractContextManager[object]:
    """Keep stdout for the result while the user's own code (a data set, a metric) runs and may print."""
    return redirect_stdout(sys.stderr)


@functools.lru_cache(maxsize=1)
def _show_log() -> None:
    """Show what edgepack's own modules log, from INFO up, on stderr."""
    import logging

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(record.getMessage())

    logger = logging.getLogger("edgepack")
    logger.addHandler(Lines())
    logger.setLevel(logging.INFO)


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """Show one live row for a piece of work; yields `report(stage, done, total)`.

    On a terminal the row moves; in a log each new stage is one line. What a stage logs meanwhile (an
    installation that takes minutes, say) is shown too.
    """
    stderr = console(stderr=True)
    _show_log()
    if not stderr.is_terminal:
        last = ""

        def report_line(stage: str, done: int, total: int) -> None:
            nonlocal last
            if stage != last:
                last = stage
                stderr.print(f"{title}: {stage}", markup=False)

        with stray_prints_to_stderr():
            yield report_line
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        TimeElapsedColumn(),
    )
    with stray_prints_to_stderr(), Progress(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {stage}", completed=done, total=total or None)

        yield report
