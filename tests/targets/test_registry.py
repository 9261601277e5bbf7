from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from edgepack.targets.errors import TargetError
from edgepack.targets.registry import (
    BOARDS,
    all_targets,
    ensure_buildable,
    find_target,
    target_names,
)

FOUND = {
    "exact name": ("rpi4", "rpi4"),
    "exact name wins over being a prefix of others": ("rpi", "rpi"),
    "alias": ("raspberry-pi-5", "rpi5"),
    "alias wins over nothing else": ("pico", "rpi-pico"),
    "unique prefix": ("jetson", "jetson-orin-nano"),
    "unique prefix that ends at a letter": ("cortex-m0", "cortex-m0plus"),
    "prefix of one qemu machine": ("qemu-mps3", "qemu-mps3-an547"),
}


@pytest.mark.parametrize(("text", "name"), FOUND.values(), ids=FOUND.keys())
def test_look_up(text, name):
    assert find_target(text).name == name


NOT_FOUND = {
    "ambiguous prefix": (
        "cortex-m",
        ["could be any of: cortex-m0plus, cortex-m3, cortex-m33, cortex-m4"],
        "whole name",
    ),
    "ambiguous qemu": ("qemu-", ["qemu-mps2-an385, qemu-mps2-an386"], "whole name"),
    "prefix that cuts a number": (
        "cortex-m5",
        ["no target 'cortex-m5'", "Did you mean 'cortex-m"],
        "./NAME.toml",
    ),
    "typo": ("rpi44", ["no target 'rpi44'", "Did you mean 'rpi4'?"], "edgepack targets"),
    "typo of an alias": ("rasberry-pi-4", ["Did you mean 'raspberry-pi-4'?"], "edgepack targets"),
    "case": ("RPi4", ["no target 'RPi4'", "Did you mean 'rpi4'?"], "edgepack targets"),
    "empty": ("", ["no target ''", "Targets: cortex-m0plus"], "edgepack targets"),
    "nothing near": ("zzzzzz", ["no target 'zzzzzz'. Targets: "], "edgepack targets"),
    "terminal escape": ("\x1b[2J", ["no target '\\x1b[2J'"], "edgepack targets"),
    "long": ("x" * 10_000, ["xxx'…"], "edgepack targets"),
}


@pytest.mark.parametrize(("text", "parts", "remedy"), NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_look_up_fails_with_candidates(text, parts, remedy):
    with pytest.raises(TargetError) as caught:
        find_target(text)
    for part in parts:
        assert part in caught.value.message
    assert remedy in caught.value.remedy
    assert len(caught.value.message) < 1000


@pytest.fixture
def own_board(tmp_path, monkeypatch):
    text = (BOARDS / "rpi4.toml").read_text().replace('name = "rpi4"', 'name = "my-board"')
    (tmp_path / "my-board.toml").write_text(text.replace('"1.8 GHz"', '"2 GHz"'))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my-board.toml"


@pytest.mark.parametrize("spelling", ["my-board.toml", "./my-board.toml", "../{folder}/my-board.toml"])
def test_own_file_by_path(own_board, spelling):
    target = find_target(spelling.format(folder=own_board.parent.name))
    assert (target.name, target.cores[0].clock_hz) == ("my-board", 2_000_000_000)


def test_own_file_without_path_or_ending_is_a_name(own_board):
    with pytest.raises(TargetError, match="no target 'my-board'"):
        find_target("my-board")


def test_own_file_goes_through_the_same_door(own_board):
    own_board.write_text(own_board.read_text().replace("clock", "clok"))
    with pytest.raises(TargetError, match=r"unknown key 'cores\[0\].clok'"):
        find_target("./my-board.toml")


def test_slash_makes_a_path_never_a_name():
    with pytest.raises(TargetError, match="no such file"):
        find_target("boards/rpi4")


def test_all_targets_are_sorted_and_complete():
    assert tuple(target.name for target in all_targets()) == target_names()
    assert list(target_names()) == sorted(path.stem for path in BOARDS.glob("*.toml"))


def test_buildable_target_passes():
    ensure_buildable(find_target("rpi"))


def test_not_buildable_target_names_reason_and_next_command():
    target = replace(find_target("cortex-m4"), buildable=False, not_buildable_reason="its maker says no.")
    with pytest.raises(TargetError, match="'cortex-m4' can be inspected but not built: its maker") as caught:
        ensure_buildable(target)
    assert "edgepack inspect MODEL --target cortex-m4" in caught.value.remedy


def test_listing_loads_nothing_heavy():
    code = (
        "import json, sys; from edgepack.targets.registry import all_targets; all_targets(); "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"numpy", "pydantic", "paramiko", "rich", "click", "sqlalchemy", "asyncio", "importlib_resources"}
    assert not heavy & set(json.loads(out))
