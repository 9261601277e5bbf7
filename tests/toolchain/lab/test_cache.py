from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.lab.cache import cached, cached_folder, size_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEPACK_CACHE_DIR", str(tmp_path))
    return tmp_path / "lab"


def test_is_made_once_and_named_by_what_it_depends_on(cache: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("x")

    first = cached("disk", ["a"], make)
    assert cached("disk", ["a"], make) == first == cached_folder("disk", ["a"])
    assert len(made) == 1 and (first / "file").read_text() == "x"
    assert cached("disk", ["b"], make) != first


def test_build_that_fails_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("disk", ["a"], fail)
    assert not cached_folder("disk", ["a"]).exists()
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def _count(folder: Path) -> None:
    with (folder.parent / "builds").open("a") as file:
        file.write(f"{os.getpid()}\n")


def _build(_: int) -> str:
    return str(cached("disk", ["a"], _count))


def test_processes_build_once(cache: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(_build, range(4)))) == 1
    assert len((cache / "builds").read_text().splitlines()) == 1


def test_holes_take_no_space(tmp_path: Path) -> None:
    with (tmp_path / "disk.raw").open("wb") as file:
        file.truncate(1 << 30)
    assert size_bytes(tmp_path) < 1 << 20
    assert size_bytes(tmp_path / "absent") == 0
