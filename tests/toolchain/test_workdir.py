from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgepack.toolchain import workdir
from edgepack.toolchain.workdir import Workdir, tool_versions


def test_a_stage_runs_once_for_the_same_inputs(tmp_path: Path) -> None:
    work, runs = Workdir(tmp_path), []

    def make(folder: Path) -> dict[str, object]:
        runs.append(folder)
        (folder / "out.bin").write_bytes(b"x")
        return {"file": "out.bin"}

    first, result = work.stage("import", {"sha256": "a", "batch": 1}, make)
    again, _ = work.stage("import", {"batch": 1, "sha256": "a"}, make)
    other, _ = work.stage("import", {"sha256": "b", "batch": 1}, make)
    assert first == again != other
    assert len(runs) == 2
    assert (first / result["file"]).read_bytes() == b"x"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_stage_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    work = Workdir(tmp_path)

    def fail(folder: Path) -> dict[str, object]:
        (folder / "half").write_bytes(b"x")
        raise error

    with pytest.raises(error):
        work.stage("import", {"a": 1}, fail)
    assert list((tmp_path / "import").iterdir()) == []
    assert work.peek("import", {"a": 1}) is None


def test_a_damaged_result_is_made_again(tmp_path: Path) -> None:
    work = Workdir(tmp_path)
    folder, _ = work.stage("s", {}, lambda _: {"n": 1})
    (folder / "result.json").write_text("{")
    assert work.stage("s", {}, lambda _: {"n": 2})[1] == {"n": 2}


def test_two_at_once_leave_one_whole_result(tmp_path: Path) -> None:
    work, barrier, results = Workdir(tmp_path), threading.Barrier(2), []

    def make(folder: Path) -> dict[str, object]:
        barrier.wait(5)
        (folder / "out").write_text("whole")
        return {"ok": True}

    def run() -> None:
        results.append(work.stage("s", {"k": 1}, make))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result for _, result in results] == [{"ok": True}] * 2
    assert (results[0][0] / "out").read_text() == "whole"
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_tool_versions_leave_out_what_is_not_installed() -> None:
    assert set(tool_versions("numpy", "no-such-distribution")) == {"numpy", "code"}


def test_edited_code_is_another_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "converters").mkdir()
    source = tmp_path / "converters" / "one.py"
    source.write_text("x = 1")
    monkeypatch.setattr(workdir, "_PACKAGE", tmp_path)
    seen = []
    for text in ("x = 1", "x = 22"):
        source.write_text(text)
        workdir._code.cache_clear()
        seen.append(tool_versions()["code"])
    workdir._code.cache_clear()
    assert seen[0] != seen[1]
