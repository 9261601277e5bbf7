"""The options that name devices, the same on every verb, and the live rows of work on many of them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.output import console, note, show_error, stray_prints_to_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgepack.toolchain.api import Fleet
    from edgepack.toolchain.deploy.fleet import FleetEvent, Outcome


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--device`, `--group`, `--all`, `--lab` and `--jobs`."""
    path = click.Path(path_type=Path)
    options = [
        click.option("--device", "-d", "devices", multiple=True, help="A device of lab.toml. Repeatable."),
        click.option("--group", "-g", "groups", multiple=True, help="All devices of a group. Repeatable."),
        click.option("--all", "everything", is_flag=True, help="All devices of lab.toml."),
        click.option("--lab", type=path, help="The inventory. [default: ./lab.toml]"),
        click.option("--jobs", type=click.IntRange(1, 256), help="Devices at a time. [default: 16]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def fleet_rows(fleet: Fleet) -> Iterator[Callable[[FleetEvent], None]]:
    """Show one live row a device on a terminal; in a log, one line for each new stage."""
    stderr = console(stderr=True)
    if not stderr.is_terminal:
        seen: dict[str, str] = {}

        def line(event: FleetEvent) -> None:
            text = event.stage if event.state in ("working", "retrying", "failed") else event.state
            if text and seen.get(event.device) != text:
                seen[event.device] = text
                note(_named(event.device, text))

        with stray_prints_to_stderr():
            yield line
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.fields[device]}", style="bold", markup=False),
        BarColumn(24),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with stray_prints_to_stderr(), Progress(*columns, console=stderr) as bars:
        tasks = {device.name: bars.add_task("waiting", device=device.name) for device in fleet.devices}

        def row(event: FleetEvent) -> None:
            text = event.stage if event.state == "working" else f"{event.state} {event.stage}".strip()
            finished = event.state in ("done", "failed")
            total = 1 if finished else event.total or None
            bars.update(
                tasks[event.device],
                description=text,
                completed=1 if finished else event.done,
                total=total,
            )

        yield row


def failure_documents(outcomes: Sequence[Outcome[Any]]) -> list[dict[str, Any]]:
    """Return what failed, as JSON values."""
    return [
        {
            "device": outcome.device.name,
            "kind": type(outcome.error).__name__,
            "code": getattr(outcome.error, "code", None),
            "message": outcome.error.message,
            "remedy": outcome.error.remedy,
            "exit_code": outcome.error.exit_code,
            "attempts": outcome.attempts,
        }
        for outcome in outcomes
        if outcome.error
    ]


def exit_code_of(outcomes: Sequence[Outcome[Any]]) -> int:
    """Tell each failure and return the exit code: 0 where nothing failed, else that of the first failure."""
    errors = [(outcome.device.name, outcome.error) for outcome in outcomes if outcome.error]
    for name, error in errors:
        show_error(_named(name, error.message), error.remedy)
    if not errors:
        return 0
    if len(outcomes) > 1:
        done = len(outcomes) - len(errors)
        note(f"{len(errors)} of {len(outcomes)} devices failed, {done} done.")
    return errors[0][1].exit_code


def _named(device: str, text: str) -> str:
    """Return a line that begins with the device's name, once."""
    return text if text.startswith((f"{device}:", f"{device} ")) else f"{device}: {text}"
