from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from edgepack.toolchain.cli.main import COMMANDS, cli, run

HEAVY = ("numpy", "paramiko", "tensorflow", "keras", "torch", "onnx", "pydantic", "rich", "ai_edge_litert")


def edgepack(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "edgepack.toolchain.cli.main", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )


def test_help_and_completion_load_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from edgepack.toolchain.cli.main import cli, run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    run(['--help'])\n"
        "context = cli.make_context('edgepack', [], resilient_parsing=True)\n"
        "assert [item.value for item in cli.shell_complete(context, 'de')] == ['deploy', 'devices']\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_table_holds_each_commands_own_short_help(name: str) -> None:
    module, short_help = COMMANDS[name]
    command = import_module(module).command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.short_help == short_help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_json_and_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    command = import_module(COMMANDS[name][0]).command
    leaves = command.commands.values() if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        assert any("--json" in parameter.opts for parameter in leaf.params), leaf.name


def test_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bulid"]) == 2
    assert "Did you mean 'build'?" in capsys.readouterr().err


def test_an_error_is_two_lines_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "rpi55"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: There is no target 'rpi55'")
    assert "  help: " in captured.err


def test_json_holds_one_document_also_for_an_error() -> None:
    ok = edgepack("targets", "--json")
    assert ok.returncode == 0
    assert {"rpi", "rpi4"} <= {target["name"] for target in json.loads(ok.stdout)}
    failed = edgepack("targets", "nonsense", "--json")
    assert failed.returncode == 4
    error = json.loads(failed.stdout)["error"]
    assert error["exit_code"] == 4 and error["remedy"]


def test_a_bug_shows_no_traceback_unless_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command(name="targets")
    def broken() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(cli, "get_command", lambda *_: broken)
    monkeypatch.delenv("EDGEPACK_TRACEBACK", raising=False)
    assert run(["targets"]) == 1
    quiet = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in quiet and "Traceback" not in quiet
    monkeypatch.setenv("EDGEPACK_TRACEBACK", "1")
    assert run(["targets"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupting_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command(name="targets")
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "get_command", lambda *_: interrupted)
    assert run(["targets"]) == 130
    assert "run the same command to go on" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m edgepack.toolchain.cli.main targets --json | head -c 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupt_inside_exec_still_ends_with_our_exit_code(tmp_path: Path) -> None:
    # Run as a module, CPython ends by SIGINT where an interrupt once passed through exec(), caught or not.
    (tmp_path / "interrupted.py").write_text(
        "import click\n"
        "from edgepack.toolchain.cli import main\n"
        "@click.command(name='targets')\n"
        "def command():\n"
        "    exec('raise KeyboardInterrupt')\n"
        "main.cli.get_command = lambda *_: command\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted", "targets"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 130, done.stderr
