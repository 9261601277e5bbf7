from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.kernel import load_order

if TYPE_CHECKING:
    from pathlib import Path


def module(folder: Path, name: str, depends: str) -> Path:
    path = folder / f"{name}.ko"
    path.write_bytes(b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0")
    return path


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    tree = {"ext4": "jbd2,mbcache", "jbd2": "", "mbcache": "crc", "crc": "", "i2c_dev": ""}
    modules = {name: module(tmp_path, name, depends) for name, depends in tree.items()}
    assert load_order(modules, ["i2c-dev", "ext4"]) == ["i2c_dev", "jbd2", "crc", "mbcache", "ext4"]
    with pytest.raises(LabError, match="no module 'ina2xx'"):
        load_order(modules, ["ina2xx"])
