"""Every verb and sub-verb: help, and the options that verbs share."""

from __future__ import annotations

from importlib import import_module

import click
import pytest

from edgepack.toolchain.cli.main import COMMANDS, run


def leaves() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = import_module(COMMANDS[name][0]).command
        found += [(name, sub) for sub in command.commands] if isinstance(command, click.Group) else [(name,)]
    return found


def options_of(*path: str) -> set[str]:
    command = import_module(COMMANDS[path[0]][0]).command
    if len(path) == 2:
        command = command.commands[path[1]]
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_help_says_what_each_option_is_for(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: edgepack {' '.join(path)}")
    for option in options_of(*path):
        assert option in text
    command = import_module(COMMANDS[path[0]][0]).command
    command = command.commands[path[1]] if len(path) == 2 else command
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("path", [("deploy",), ("bench",), ("run",), ("rollback",), ("devices", "check")])
def test_verbs_of_many_devices_take_the_same_options(path: tuple[str, ...]) -> None:
    assert {"--device", "--group", "--all", "--lab", "--jobs"} <= options_of(*path)


def test_run_takes_what_build_and_bench_take() -> None:
    ours = options_of("run")
    assert options_of("build") <= ours
    assert options_of("bench") - {"--project"} <= ours
