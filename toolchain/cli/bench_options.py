"""The options that say what is measured, shared by `bench` and `run`, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.devices_options import contention_of
from edgepack.toolchain.cli.output import note, show_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgepack.toolchain.pipeline import Bench
    from edgepack.toolchain.results.schema import RunRecord

_SPEC_KEYS = (
    "batches", "threads", "delegates", "quick", "windows", "min_runs", "min_seconds", "max_seconds", "memory",
    "profile", "pin", "governor", "power",
)  # fmt: skip
_LONG_S = 60.0


def _numbers(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Read "1,2,4" as numbers."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as err:
        message = f"{value!r} is no list of numbers such as 1,2,4"
        raise click.BadParameter(message, param=parameter) from err


def _words(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Read "xnnpack,none" as words."""
    return None if value is None else tuple(part.strip() for part in value.split(","))


def _pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read "branch=main" as a pair."""
    pairs = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not (key and equals) or not value.isprintable() or len(value) > 256:
            message = f"{value!r} is no pair such as branch=main"
            raise click.BadParameter(message, param=parameter)
        pairs[key] = text
    return pairs


def bench_options(*batch_names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command every option that decides what is measured; `bench` and `run` share them.

    Args:
        *batch_names: Names of the option for batch sizes; in `run`, `--batch` is that of the model.
    """
    options = [
        click.option(*batch_names, "batches", callback=_numbers, help="Batch sizes. [default: 1,2,4,8]"),
        click.option("--threads", callback=_numbers, help="Numbers of threads. [default: 1,2,4]"),
        click.option(
            "--delegates", callback=_words, help="What computes: xnnpack, none, or both. [default: xnnpack]"
        ),
        click.option(
            "--quick/--full", default=None, help="Short windows: for a look, marked so on the record."
        ),
        click.option("--windows", type=int, help="Windows a configuration. [default: 5]"),
        click.option("--min-runs", type=int, help="Fewest inferences in a window. [default: 10]"),
        click.option("--min-seconds", type=float, help="Shortest window. [default: 10; 0.3 with --quick]"),
        click.option("--max-seconds", type=float, help="Longest window. [default: 150]"),
        click.option("--memory/--no-memory", default=None, help="Measure peak memory, in a pass of its own."),
        click.option(
            "--accuracy/--no-accuracy", "evaluation_on", default=None, help="Measure accuracy on the device."
        ),
        click.option(
            "--profile/--no-profile", default=None, help="Time each operator, in a pass of its own."
        ),
        click.option("--pin", callback=_numbers, help="CPUs that the model may use, such as 2,3."),
        click.option("--governor", help="Frequency governor for the length of the benchmark: performance."),
        click.option(
            "--power", help="Power sensor: a name of `devices check`, auto or none. [default: auto]"
        ),
        click.option("--require-stable", is_flag=True, help="Fail where the headline figures are unstable."),
        click.option("--tag", help="A name for the runs."),
        click.option("--label", "labels", multiple=True, callback=_pairs, help="key=value, on the record."),
        click.option("--store", help="Path or URL of the result store. [default: .edgepack/results.sqlite]"),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def settings_from(
    given: dict[str, Any], *, project: Path | None, wait: float, steal: str | None
) -> tuple[Bench, bool]:
    """Take the options of `bench_options` out of what was given; return the settings and --require-stable."""
    from edgepack.toolchain.api import bench_settings
    from edgepack.toolchain.measure.job import Request

    spec = {key: given.pop(key) for key in _SPEC_KEYS} | {"evaluation": given.pop("evaluation_on")}
    request = Request(given.pop("tag"), given.pop("labels"), contention_of(wait, steal))
    stable = given.pop("require_stable")
    return bench_settings(project=project, store=given.pop("store"), request=request, **spec), stable


def tell_estimate(settings: Bench, packages: int = 1) -> None:
    """Say how long measuring will take, where that is long."""
    spec = settings.spec
    seconds = spec.estimate_s * packages
    if seconds < _LONG_S:
        return
    parts = [(packages, "package"), (spec.configurations, "configuration"), (spec.windows, "window")]
    what = " x ".join(f"{count} {noun}{'s' * (count > 1)}" for count, noun in parts if count > 1)
    what = f"{what} x {spec.min_seconds:g} s" if what else "one long window"
    note(f"Measuring takes about {seconds / 60:.0f} min a device: {what}. (--quick for a look)")


def stability_exit_code(records: Sequence[RunRecord]) -> int:
    """Tell which headline figures are unstable, and return the exit code: 0 where none is."""
    from edgepack.toolchain.errors import UnstableError

    unstable = [record for record in records if record.verdict is None or record.verdict.status != "stable"]
    for record in unstable:
        reasons = "; ".join(record.verdict.reasons) if record.verdict else "nobody judged them"
        what = f"{record.device.name}: {record.package.name} {record.model.precision}: unstable: {reasons}."
        show_error(what, "Cure what is named and measure again; the records are kept.")
    return UnstableError.exit_code if unstable else 0
