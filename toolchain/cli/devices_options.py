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
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.contention import Contention
    from edgepack.toolchain.deploy.fleet import FleetEvent, Outcome, Revive
    from edgepack.toolchain.deploy.inventory import Device


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


def contention_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--wait`, `--steal` and `--no-power-cycle`."""
    options = [
        click.option(
            "--wait",
            is_flag=False,
            flag_value="inf",
            default="0",
            callback=_seconds,
            metavar="[SECONDS]",
            help="Wait while somebody else works on a device; without a number, as long as it takes.",
        ),
        click.option(
            "--steal", metavar="REASON", help="Take the device over: ends the other's work, who is told why."
        ),
        click.option(
            "--no-power-cycle", is_flag=True, help="Do not switch off and on a device that does not answer."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _seconds(_: click.Context, parameter: click.Parameter, value: str) -> float:
    """Read a time to wait; infinity for ever."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        message = f"{value!r} is no number of seconds; write --wait=600, or --wait at the end"
        raise click.BadParameter(message, param=parameter)
    return seconds


def contention_of(wait: float, steal: str | None) -> Contention:
    """Return what to do where somebody else works on a device.

    Raises:
        BadParameter: No reason is given for taking it over.
    """
    from edgepack.toolchain.deploy.contention import Contention

    if steal is not None and not steal.strip():
        message = "give the reason; it is told to the other and kept on the record"
        raise click.BadParameter(message, param_hint="--steal")
    return Contention(wait, steal)


def reviver(fleet: Fleet, no_power_cycle: bool) -> Revive | None:
    """Return what switches a device off and on that does not answer; None where no device has a switch."""
    if no_power_cycle or not any(device.power_cycle for device in fleet.devices):
        return None
    from edgepack.toolchain.deploy.power_cycle import power_cycle

    def revive(device: Device, cancellation: Cancellation, tell: Callable[[str], None]) -> str | None:
        return power_cycle(device, fleet.lab, cancellation, tell) if device.power_cycle else None

    return revive


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
            "revived": outcome.revived,
        }
        for outcome in outcomes
        if outcome.error
    ]


def exit_code_of(outcomes: Sequence[Outcome[Any]]) -> int:
    """Tell each failure and return the exit code: 0 where nothing failed, else that of the first failure."""
    for outcome in outcomes:
        if outcome.revived:
            note(_named(outcome.device.name, outcome.revived))
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
