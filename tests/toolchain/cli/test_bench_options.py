"""What the options of measuring are made of, and what a person hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from edgepack.toolchain.cli.bench_options import (
    bench_options,
    settings_from,
    stability_exit_code,
    tell_estimate,
)
from edgepack.toolchain.cli.devices_options import contention_options
from edgepack.toolchain.errors import UnstableError
from edgepack.toolchain.results.schema import Verdict
from tests.toolchain.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.pipeline import Bench


def parse(tmp_path: Path, *arguments: str) -> tuple[Bench, bool]:
    """Parse the options as `bench` does."""
    found: list[Any] = []
    (tmp_path / "edgepack.toml").write_text("")

    @click.command()
    @bench_options("--batches")
    @contention_options
    def command(wait: float, steal: str | None, no_power_cycle: bool, **given: Any) -> None:
        found.append(settings_from(given, project=tmp_path, wait=wait, steal=steal))
        assert not given, "an option that nobody reads"

    done = CliRunner().invoke(command, arguments)
    if done.exit_code:
        raise AssertionError(done.output)
    result: tuple[Bench, bool] = found[0]
    return result


def test_every_option_reaches_the_spec(tmp_path: Path) -> None:
    arguments = (
        "--batches=1,4", "--threads=2", "--delegates=xnnpack,none", "--windows=7", "--min-seconds=11",
        "--profile", "--pin=2,3", "--governor=performance", "--power=ina226", "--no-accuracy",
        "--require-stable", "--tag=nightly", "--label=branch=a=b", "--label=k=v", "--wait=60",
    )  # fmt: skip
    settings, require_stable = parse(tmp_path, *arguments)
    spec = settings.spec
    assert (spec.batches, spec.threads, spec.delegates) == ((1, 4), (2,), ("xnnpack", "none"))
    assert (spec.windows, spec.min_seconds, spec.quick, spec.profile) == (7, 11.0, False, True)
    assert (spec.pin, spec.governor, spec.power, spec.evaluation) == ((2, 3), "performance", "ina226", False)
    request = settings.request
    assert (request.tag, request.labels) == ("nightly", {"branch": "a=b", "k": "v"})
    assert (request.contention.wait_s, request.contention.steal, require_stable) == (60.0, None, True)


def test_waiting_and_stealing(tmp_path: Path) -> None:
    assert parse(tmp_path)[0].request.contention.wait_s == 0
    assert parse(tmp_path, "--wait")[0].request.contention.wait_s == float("inf")
    assert parse(tmp_path, "--steal", "why not")[0].request.contention.steal == "why not"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--wait=soon", "--wait=600"),
        ("--wait=nan", "no number of seconds"),
        ("--steal= ", "give the reason"),
        ("--label=branch", "no pair such as branch=main"),
        ("--pin=a", "no list of numbers"),
    ],
)
def test_wrong_options_say_what_is_right(tmp_path: Path, argument: str, expected: str) -> None:
    with pytest.raises(AssertionError, match=expected):
        parse(tmp_path, argument)


def test_a_long_run_is_told_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_estimate(parse(tmp_path)[0])
    assert "about 10 min a device: 12 configurations x 5 windows x 10 s" in capsys.readouterr().err
    tell_estimate(parse(tmp_path, "--quick")[0])
    assert capsys.readouterr().err == ""


def test_require_stable_names_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    record = make_record()
    stable = record.model_copy(update={"verdict": Verdict(status="stable", reasons=[])})
    unstable = record.model_copy(update={"verdict": Verdict(status="unstable", reasons=["drifting: +4 %"])})
    assert stability_exit_code([stable]) == 0
    assert stability_exit_code([stable, unstable]) == UnstableError.exit_code
    assert "unstable: drifting: +4 %" in capsys.readouterr().err
    assert stability_exit_code([record.model_copy(update={"verdict": None})]) == UnstableError.exit_code
