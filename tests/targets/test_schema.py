from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.targets.errors import TargetError
from edgepack.targets.schema import MAX_FILE_BYTES, load_target

ROOT = Path(__file__).resolve().parents[2]

GOOD = """
name = "board"
title = "A board"
family = "linux"
arch = "aarch64"
default_precision = "int8"
precisions = ["float32", "int8"]
source = "its data sheet"

[runtime]
kind = "litert"
wheel_platform = "linux_aarch64"

[link]
kind = "ssh"

[[cores]]
name = "cortex-a53"
isa = "armv8-a"
count = 4
clock = "1.2 GHz"
features = ["neon"]
source = "its data sheet, section 2"

[[memory]]
name = "ram"
kind = "ram"
size = "512 MiB"
bandwidth = "3.2 GB/s"
source = "its data sheet, section 3"
"""

MCU = """
name = "board"
title = "A microcontroller"
family = "mcu"
arch = "armv7e-m"
default_precision = "int8"
precisions = ["int8"]
buildable = false
not_buildable_reason = "not yet"
source = "its data sheet"

[runtime]
kind = "mcu"

[link]
kind = "serial"

[[memory]]
name = "ram"
kind = "ram"
size = "64 KiB"
address = 0x2000_0000
source = "its data sheet"

[[memory]]
name = "flash"
kind = "flash"
size = "1 MiB"
address = 0x0800_0000
source = "its data sheet"
"""


def write(folder: Path, text: str | bytes, name: str = "board.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_good_file_becomes_base_units(tmp_path):
    target = load_target(write(tmp_path, GOOD))
    core, memory = target.cores[0], target.memory[0]
    assert (core.count, core.clock_hz, core.features) == (4, 1_200_000_000, ("neon",))
    assert (memory.size_bytes, memory.bandwidth_bytes_per_s, memory.address) == (2**29, 3_200_000_000, None)
    assert target.precisions == ("float32", "int8")
    assert target.buildable
    assert target.not_buildable_reason is None
    assert target.aliases == target.notes == target.power_sensors == ()


def test_good_microcontroller(tmp_path):
    target = load_target(write(tmp_path, MCU))
    assert [region.address for region in target.memory] == [0x2000_0000, 0x0800_0000]
    assert target.runtime.wheel_platform is None
    assert not target.buildable


def test_unknown_facts_are_none(tmp_path):
    text = GOOD
    for line in ("count = 4\n", 'clock = "1.2 GHz"\n', 'size = "512 MiB"\n', 'bandwidth = "3.2 GB/s"\n'):
        text = text.replace(line, "")
    full, bare = load_target(write(tmp_path, GOOD)), load_target(write(tmp_path, text))
    assert bare.cores == (replace(full.cores[0], count=None, clock_hz=None),)
    assert bare.memory == (replace(full.memory[0], size_bytes=None, bandwidth_bytes_per_s=None),)


# name of the case: (good text, part to replace, its replacement, parts that the message must have)
BAD = {
    "missing key": (GOOD, 'title = "A board"\n', "", ["title is missing", "expected text"]),
    "missing table": (GOOD, '[link]\nkind = "ssh"\n', "", ["link is missing", "[link]"]),
    "missing source of a core": (
        GOOD,
        'source = "its data sheet, section 2"\n',
        "",
        ["cores[0].source is missing"],
    ),
    "missing source of a region": (
        GOOD,
        'source = "its data sheet, section 3"\n',
        "",
        ["memory[0].source is missing"],
    ),
    "empty source": (GOOD, '"its data sheet, section 3"', '" "', ["memory[0].source is empty"]),
    "unknown key": (GOOD, "title =", "titles =", ["unknown key 'titles'", "Did you mean 'title'?"]),
    "unknown key in a table": (
        GOOD,
        "clock =",
        "clok =",
        ["unknown key 'cores[0].clok'", "allowed keys here: name, isa", "Did you mean 'clock'?"],
    ),
    "unknown value": (
        GOOD,
        'family = "linux"',
        'family = "linx"',
        ["family is 'linx'", "expected one of linux, android, mcu", "Did you mean 'linux'?"],
    ),
    "unknown precision": (
        GOOD,
        '["float32", "int8"]',
        '["int9", "int8"]',
        ["precisions[0] is 'int9'", "'int8'?"],
    ),
    "repeated precision": (
        GOOD,
        '["float32", "int8"]',
        '["int8", "int8"]',
        ["precisions[1] is 'int8' again"],
    ),
    "no precision": (GOOD, '["float32", "int8"]', "[]", ["default_precision is 'int8'", "which is empty"]),
    "default precision not offered": (
        GOOD,
        'default_precision = "int8"',
        'default_precision = "float16"',
        ["default_precision is 'float16'", "one of precisions: float32, int8"],
    ),
    "number where text is due": (
        GOOD,
        '"512 MiB"',
        "536870912",
        ["memory[0].size is a whole number (536870912)", '"256 KiB"'],
    ),
    "text where a number is due": (GOOD, "count = 4", 'count = "4"', ["cores[0].count is text ('4')"]),
    "true is not a number": (GOOD, "count = 4", "count = true", ["cores[0].count is true or false (True)"]),
    "fraction of a core": (GOOD, "count = 4", "count = 4.0", ["cores[0].count is a number (4.0)"]),
    "no cores": (GOOD, "count = 4", "count = 0", ["cores[0].count is 0", "1 to 1024"]),
    "huge number": (GOOD, "count = 4", f"count = {10**4000}", ["cores[0].count is a number of 13288 bits"]),
    "too many digits": (GOOD, "count = 4", f"count = 1{'0' * 9000}", ["not valid TOML"]),
    "date": (GOOD, "count = 4", "count = 2024-01-01", ["cores[0].count is a date or time"]),
    "ambiguous unit": (GOOD, "512 MiB", "512 KB", ["memory[0].size: '512 KB'", "Did you mean 'KiB'?"]),
    "zero is not unknown": (GOOD, '"512 MiB"', '"0 MiB"', ["memory[0].size is '0 MiB'", "leave the key out"]),
    "table where an array is due": (GOOD, "[[cores]]", "[cores]", ["cores is a table", "[[cores]]"]),
    "array where a table is due": (GOOD, "[link]", "[[link]]", ["link is an array", "[link]"]),
    "numbers in an array of tables": (
        MCU,
        'buildable = false\nnot_buildable_reason = "not yet"\n',
        'buildable = false\nnot_buildable_reason = "not yet"\ncores = [1]\n',
        ["cores[0] is a whole number", "a table"],
    ),
    "numbers in an array of texts": (GOOD, '["neon"]', "[1]", ["cores[0].features[0] is a whole number"]),
    "terminal escape": (GOOD, '"A board"', '"\\u001b[2J"', ["title is '\\x1b[2J'", "printable"]),
    "long text": (GOOD, "A board", "A" * 700, ["title is a text of 700 characters"]),
    "long array": (
        GOOD,
        '["neon"]',
        str([f"f{i}" for i in range(100)]),
        ["cores[0].features is an array of 100 items", "at most 64"],
    ),
    "long value": (GOOD, '"linux"', f'"{"x" * 500}"', ["family is 'xxx", "…"]),
    "name of another file": (
        GOOD,
        'name = "board"',
        'name = "rpi4"',
        ["name is 'rpi4'", "'board', the name of"],
    ),
    "path as a name": (GOOD, 'name = "board"', 'name = "../board"', ["name is '../board'", "a-z, 0-9"]),
    "alias of itself": (GOOD, 'title = "A', 'aliases = ["board"]\ntitle = "A', ["aliases[0] is 'board'"]),
    "path as an alias": (GOOD, 'title = "A', 'aliases = ["a/b"]\ntitle = "A', ["aliases[0] is 'a/b'"]),
    "reason for a buildable board": (
        GOOD,
        'title = "A',
        'not_buildable_reason = "no"\ntitle = "A',
        ["not_buildable_reason is given", "buildable = false"],
    ),
    "no reason": (MCU, 'not_buildable_reason = "not yet"\n', "", ["not_buildable_reason is missing"]),
    "firmware on linux": (
        GOOD,
        "[link]",
        '[firmware]\nmachine = "virt"\n\n[link]',
        ["firmware is given", "no such table for family 'linux'"],
    ),
    "firmware without flash": (
        MCU,
        '[link]\nkind = "serial"\n\n[[memory]]\nname = "ram"\nkind = "ram"',
        '[firmware]\n\n[link]\nkind = "serial"\n\n[[memory]]\nname = "ram"\nkind = "flash"',
        ["memory is without ram of known address and size"],
    ),
    "unknown boot ROM": (MCU, "[link]", '[firmware]\nboot = "rp2041"\n[link]', ["firmware.boot is 'rp2041'"]),
    "family too large": (MCU, "[link]", "[firmware]\nuf2_family = 0x1_0000_0000\n[link]", ["uf2_family"]),
    "runtime of another family": (
        MCU,
        'kind = "mcu"',
        'kind = "litert"',
        ["runtime.kind is 'litert'", "'mcu' for family 'mcu'"],
    ),
    "mcu runtime on linux": (
        GOOD,
        'kind = "litert"',
        'kind = "mcu"',
        ["runtime.kind is 'mcu'", "'litert' or 'tflite-runtime' for family 'linux'"],
    ),
    "wheel of another arch": (
        GOOD,
        '"linux_aarch64"',
        '"linux_x86_64"',
        ["runtime.wheel_platform is 'linux_x86_64'", "'linux_aarch64' for arch 'aarch64'"],
    ),
    "no wheel": (GOOD, 'wheel_platform = "linux_aarch64"\n', "", ["runtime.wheel_platform is missing"]),
    "wheel for a microcontroller": (
        MCU,
        'kind = "mcu"',
        'kind = "mcu"\nwheel_platform = "linux_armv7l"',
        ["runtime.wheel_platform is 'linux_armv7l'", "uses no wheels"],
    ),
    "region twice": (MCU, 'name = "flash"', 'name = "ram"', ["memory[1].name is 'ram' again"]),
    "no ram": (GOOD, 'kind = "ram"', 'kind = "flash"', ["memory is without a region of kind 'ram'"]),
    "address on linux": (
        GOOD,
        'size = "512 MiB"',
        'size = "512 MiB"\naddress = 0',
        ["memory[0].address is given", "no address for family 'linux'"],
    ),
    "address past 32 bits": (
        MCU,
        "0x2000_0000",
        "0x2_0000_0000",
        ["memory[0].address is 8589934592", "0x0 to 0xffffffff"],
    ),
    "regions overlap": (
        MCU,
        "0x0800_0000",
        "0x1FFF_0000",
        ["memory is 'flash' up to 0x200effff and 'ram' from 0x20000000"],
    ),
}


@pytest.mark.parametrize(("good", "part", "replacement", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_file_is_refused_with_file_key_and_value(tmp_path, good, part, replacement, expected):
    assert part in good, "the case changes nothing"
    path = write(tmp_path, good.replace(part, replacement, 1))
    with pytest.raises(TargetError) as caught:
        load_target(path)
    assert caught.value.message.startswith(f"{path}: ")
    for text in expected:
        assert text in caught.value.message
    assert caught.value.remedy
    assert len(caught.value.message) < 700 + len(str(path))


NOT_TOML = {
    "no TOML": (b"name = \n", "not valid TOML"),
    "not text": (b"\xff\xfe\x00name", "not valid TOML"),
    "key twice": (b"a = 1\na = 2\n", "not valid TOML"),
    "deep nesting": (b"a = " + b"[" * 30_000, "not valid TOML"),
    "too large": (b"#" * (MAX_FILE_BYTES + 1), "larger than 65536 bytes"),
    "empty": (b"", "name is missing"),
}


@pytest.mark.parametrize(("data", "expected"), NOT_TOML.values(), ids=NOT_TOML.keys())
def test_bytes_that_are_no_board_file(tmp_path, data, expected):
    path = write(tmp_path, data)
    with pytest.raises(TargetError, match=re.escape(expected)):
        load_target(path)


def test_missing_file(tmp_path):
    with pytest.raises(TargetError, match="no such file"):
        load_target(tmp_path / "absent.toml")


def test_folder(tmp_path):
    with pytest.raises(TargetError, match="not a regular file"):
        load_target(tmp_path)


def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(TargetError, match="not a regular file"):
        load_target(tmp_path / "pipe.toml")


def test_name_too_long_for_the_file_system(tmp_path):
    with pytest.raises(TargetError, match=r"cannot be read|no such file"):
        load_target(tmp_path / ("x" * 5000 + ".toml"))


@given(data=st.binary(max_size=300))
def test_any_bytes_give_a_target_error(data, tmp_path_factory):
    path = write(tmp_path_factory.getbasetemp(), data)
    with pytest.raises(TargetError):
        load_target(path)


JSON_LIKE = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5).map(lambda text: text.replace("\\", "")),
    lambda children: st.lists(children, max_size=2),
    max_leaves=4,
)


def toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + "".join(c for c in value if c.isprintable() and c != "'") + "'"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return str(value)


KEYS = re.findall(r"^(\w+) = .*$", GOOD, flags=re.MULTILINE)


@given(index=st.integers(min_value=0, max_value=len(KEYS) - 1), value=JSON_LIKE)
def test_any_value_for_any_key_gives_a_target_or_a_target_error(index, value, tmp_path_factory):
    lines = GOOD.splitlines()
    at = [i for i, line in enumerate(lines) if " = " in line][index]
    lines[at] = f"{KEYS[index]} = {toml_value(value)}"
    path = write(tmp_path_factory.getbasetemp(), "\n".join(lines))
    try:
        load_target(path)
    except TargetError as error:
        assert str(path) in error.message
        assert "not valid TOML" not in error.message
