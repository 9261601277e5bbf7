from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.report.write import FORMATS, write_reports
from tests.toolchain.records import make_record
from tests.toolchain.report.builds import make_build


def test_each_format_is_written_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    written = write_reports(folder, [make_record("int8")], [make_build("int8")])
    assert [path.name for path in written] == [f"report.{suffix}" for suffix in FORMATS]
    assert sorted(folder.iterdir()) == sorted(written)
    assert json.loads((folder / "report.json").read_text())
    assert list(csv.DictReader(io.StringIO((folder / "report.csv").read_text())))
    assert (folder / "report.html").read_text().rstrip().endswith("</html>")
    assert "| " in (folder / "report.md").read_text()


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    assert [path.name for path in write_reports(tmp_path, [make_record()], formats=("csv",))] == [
        "report.csv"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


def test_an_old_report_stays_when_the_new_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(tmp_path, [make_record()], formats=("csv",))
    before = (tmp_path / "report.csv").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ProjectError, match=r"report\.csv: cannot be written \(No space left") as caught:
        write_reports(tmp_path, [make_record("float32")], formats=("csv",))
    assert "--output" in caught.value.remedy
    assert (tmp_path / "report.csv").read_bytes() == before


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(ProjectError, match="cannot be written"):
        write_reports(tmp_path / "report", [make_record()])
