"""The commands in the documentation: all of them parse, the tutorial's really run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from edgepack.toolchain.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "examples/fashion/README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(console|sh)( run)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLE = ROOT / "examples" / "fashion"


def commands(page: Path, *, run_only: bool = False) -> list[list[str]]:
    """Return the arguments of each `edgepack` command of a page, in order."""
    found = []
    for kind, run, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if run_only and not run:
            continue
        for line in body.splitlines():
            text = line.removeprefix("$ ") if kind == "console" else line
            words = shlex.split(text, comments=True)
            if words[:1] == ["edgepack"]:
                found.append(words[1:])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_parses(page: Path) -> None:
    for arguments in commands(page):
        name, rest = arguments[0], arguments[1:]
        command = import_module(COMMANDS[name][0]).command
        while isinstance(command, click.Group) and not (command.invoke_without_command and rest[0][0] == "-"):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context(name, [word for word in rest if word not in ("MODEL", "NAME")] or rest)


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_key_of_the_project_file_is_documented() -> None:
    from edgepack.toolchain.project import Settings

    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for table, field in Settings.model_fields.items():
        for key in field.annotation.model_fields:  # type: ignore[union-attr]
            assert f"`{key}`" in text or f"`[{table}.{key}]`" in text or f"`[[{table}.{key}]]`" in text, (
                table,
                key,
            )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is missing (apt: openssh-client)")
def test_the_tutorial_runs_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="the tutorial's model is a Keras file (edgepack[tensorflow])")
    for name in ("edgepack.toml", "fashion.keras", "calibration.npz", "evaluation.npz", "labels.txt"):
        shutil.copyfile(EXAMPLE / name, tmp_path / name)
    environment = {
        **os.environ,
        "EDGEPACK_KEY": str(tmp_path / "key"),
        "EDGEPACK_STATE_DIR": str(tmp_path / "state"),
    }
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    steps = commands(ROOT / "docs" / "raspberry-pi.md", run_only=True)
    assert [step[0] for step in steps] == [
        "inspect", "build", "verify", "deploy", "deploy", "bench", "report", "build", "deploy", "rollback",
    ]  # fmt: skip
    for step in steps:
        done = subprocess.run(
            [sys.executable, "-m", "edgepack", *step],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"edgepack {' '.join(step)}\n{done.stderr}"
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
