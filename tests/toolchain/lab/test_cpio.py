from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.lab.cpio import cpio

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text("abcdef", min_size=1, max_size=8)


def read(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Read the format as its description has it, independently of the writer."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert start == len(data)
            return found
        found[name] = (mode, data[start : start + size])
        at = (start + size + 3) // 4 * 4


@given(st.dictionaries(NAMES, st.tuples(st.binary(max_size=40), st.sampled_from([0o644, 0o755]))))
def test_what_is_written_is_read(files: dict[str, tuple[bytes, int]]) -> None:
    inside = {f"top/{name}/file": entry for name, entry in files.items()}
    found = read(cpio(inside))
    for path, (data, mode) in inside.items():
        assert found[path] == (0o100000 | mode, data)
        assert found[path.rpartition("/")[0]] == (0o040755, b"")
    names = list(found)
    assert all(names.index(name.rpartition("/")[0]) < names.index(name) for name in names if "/" in name)
    assert len(cpio(inside)) % 4 == 0


@pytest.mark.skipif(shutil.which("cpio") is None, reason="needs the program cpio")
def test_cpio_itself_reads_it(tmp_path: Path) -> None:
    data = cpio({"bin/init": (b"#!/bin/sh\n", 0o755)})
    subprocess.run(["cpio", "-id", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "bin/init").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin/init").stat().st_mode & 0o777 == 0o755
