"""The exit codes that a user reads about are those that the program ends with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgepack.converters import errors as converters_errors
from edgepack.targets.errors import EdgepackError
from edgepack.toolchain import errors as toolchain_errors
from edgepack.toolchain.cli.main import EXIT_BUG, EXIT_INTERRUPTED

TABLE = Path(__file__).resolve().parents[2] / "docs/exit-codes.md"


def _subclasses(kind: type[EdgepackError]) -> set[type[EdgepackError]]:
    return {kind}.union(*(_subclasses(each) for each in kind.__subclasses__()))


def test_every_error_has_a_code_of_its_kind() -> None:
    assert converters_errors.ConversionError in _subclasses(EdgepackError)
    assert toolchain_errors.DeployError in _subclasses(EdgepackError)
    for error in _subclasses(EdgepackError) - {EdgepackError}:
        assert 3 <= error.exit_code <= 63, error


def test_families_share_no_code() -> None:
    families = {error.exit_code: error for error in EdgepackError.__subclasses__()}
    assert len(families) == len(EdgepackError.__subclasses__())


def test_table_names_every_code() -> None:
    if not TABLE.exists():
        pytest.skip("docs/exit-codes.md is not written yet")
    documented = {int(code) for code in re.findall(r"^\|\s*`?(\d+)`?\s*\|", TABLE.read_text(), re.MULTILINE)}
    raised = {error.exit_code for error in _subclasses(EdgepackError)}
    assert documented == raised | {0, EXIT_BUG, 2, EXIT_INTERRUPTED}
