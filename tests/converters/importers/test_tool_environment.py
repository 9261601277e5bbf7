from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.importers import tool_environment
from edgepack.converters.importers.tool_environment import PYTHON_VARIABLE, find_python, tool_python


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python but this one, which is made to look too old."""
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tool_environment.sys, "executable", "/nonexistent/python")
    return tmp_path


def test_no_python_says_how_to_get_one(bare: Path) -> None:
    with pytest.raises(ConversionError, match=r"needs Python 3\.12 or 3\.13") as raised:
        find_python("onnx2tf")
    assert "uv python install 3.12" in raised.value.remedy
    assert PYTHON_VARIABLE in raised.value.remedy


def test_a_python_that_does_not_run_is_passed_over(bare: Path) -> None:
    _script(bare / "bin/python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    _script(bare / "bin/python3", "echo 3 11")
    good = _script(bare / "pyenv/versions/3.12.9/bin/python", "echo 3 12")
    assert find_python("onnx2tf") == good


def test_the_variable_goes_first_and_must_be_right(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(bare / "bin/python3.12", "echo 3 12")
    named = _script(bare / "mine", "echo 3 13")
    monkeypatch.setenv(PYTHON_VARIABLE, str(named))
    assert find_python("onnx2tf") == named
    _script(named, "echo 3 9")
    with pytest.raises(ConversionError, match=f"{PYTHON_VARIABLE} names '.*mine'"):
        find_python("onnx2tf")


def _base(folder: Path, status: int = 0) -> None:
    """Put a Python 3.12 on PATH whose `-m venv` makes a folder that counts its installations."""
    count = folder / "count"
    venv = f'mkdir -p "$4/bin"; cp {folder}/pip "$4/bin/python"'
    _script(folder / "pip", f"echo x >> {count}; sleep 0.2; echo 'No matching distribution'; exit {status}")
    _script(folder / "bin/python3.12", f'if [ "$2" = -m ]; then {venv}; else echo 3 12; fi')
    for tool in ("mkdir", "cp", "sleep"):
        (folder / "bin" / tool).symlink_to(Path("/bin") / tool)


def test_two_builds_make_one_environment(bare: Path) -> None:
    _base(bare)
    with ThreadPoolExecutor(2) as pool:
        pythons = list(pool.map(lambda _: tool_python("tool", ["a==1"]), range(2)))
    assert pythons[0] == pythons[1]
    assert pythons[0].is_file()
    assert (bare / "count").read_text() == "x\n"
    assert tool_python("tool", ["a==2"]) != pythons[0]


def test_a_failed_installation_is_made_anew(bare: Path) -> None:
    _base(bare, status=1)
    with pytest.raises(ConversionError, match="No matching distribution"):
        tool_python("tool", ["a==1"])
    _base_again = bare / "pip"
    _script(_base_again, f"echo x >> {bare}/count")
    assert os.access(tool_python("tool", ["a==1"]), os.X_OK)
    assert (bare / "count").read_text() == "x\nx\n"
