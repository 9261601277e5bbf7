"""Rules about source files that no linter of ours checks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("targets", "converters", "toolchain", "device_agent")
SOURCES = sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
MAX_LINES = 400
VAGUE = {"utils", "util", "common", "helpers", "helper", "misc"}


def test_there_are_sources() -> None:
    assert len(SOURCES) > 100


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(REPOSITORY)) for path in SOURCES])
def test_a_source_file_is_short_named_and_explained(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert path.stem not in VAGUE
    assert ast.get_docstring(ast.parse(text)), "no module docstring"


def _calls(path: Path) -> set[str]:
    """Return the dotted names of all functions that a file calls."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_only_the_output_prints_and_only_the_entries_exit() -> None:
    """A library that prints or ends the program cannot be used by another."""
    prints = {str(path.relative_to(REPOSITORY)) for path in SOURCES if "print" in _calls(path)}
    exits = {str(path.relative_to(REPOSITORY)) for path in SOURCES if "sys.exit" in _calls(path)}
    assert {path for path in prints if not path.startswith("device_agent/")} <= {"toolchain/cli/output.py"}
    assert exits <= {
        "toolchain/cli/main.py",
        "device_agent/__main__.py",
        "converters/importers/onnx_worker.py",  # a program of its own, under another interpreter
    }


def test_import_root_links_to_the_folders() -> None:
    root = REPOSITORY / "src/edgepack"
    for folder in FOLDERS:
        link = root / folder
        assert link.is_symlink() and not link.readlink().is_absolute()
        assert link.resolve() == REPOSITORY / folder
    assert {path.name for path in root.iterdir()} - {"__pycache__"} == {
        *FOLDERS, "__init__.py", "__main__.py", "py.typed",
    }  # fmt: skip
