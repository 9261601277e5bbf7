"""Every shipped board is read through the same door as a user's file, and keeps what the docs promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgepack.targets.registry import BOARDS, all_targets, find_target
from edgepack.targets.schema import load_target

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(BOARDS.glob("*.toml"))

PROMISED = {
    "rpi", "rpi3", "rpi4", "rpi5", "rpi-zero2w", "rpi-armv7",
    "phone-arm64", "linux-x86_64", "jetson-orin-nano",
    "cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55",
    "cortex-m3", "cortex-m85", "riscv32imc", "native",
    "nucleo-l4r5zi", "rpi-pico", "rpi-pico2", "qemu-mps2-an386", "qemu-mps3-an547",
    "qemu-mps2-an385", "qemu-mps2-an500", "qemu-mps2-an505", "qemu-virt-riscv32",
}  # fmt: skip


def test_the_promised_boards_are_there():
    assert {path.stem for path in FILES} >= PROMISED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_board_loads_and_is_named_after_its_file(path):
    assert load_target(path).name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_hard_number_has_a_source(path):
    """Each clock, count, size, address and bandwidth has a source in its own table."""
    target = load_target(path)
    for core in target.cores:
        if core.clock_hz is not None or core.count is not None:
            assert len(core.source) > 10, core
    for region in target.memory:
        if (region.size_bytes, region.address, region.bandwidth_bytes_per_s) != (None, None, None):
            assert len(region.source) > 10, region
            assert "differs" not in region.source.split(";")[0], region


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_unit_bypasses_the_units_module(path):
    """Sizes, clocks and bandwidths are texts with a unit; the only bare numbers are counts and addresses."""
    for line in path.read_text().splitlines():
        if re.match(r"\w+ = [0-9]", line):
            assert line.split(" = ")[0] in {"count", "address", "uf2_family"}, line


def test_names_and_aliases_are_all_different():
    spellings = [name for target in all_targets() for name in (target.name, *target.aliases)]
    assert len(spellings) == len(set(spellings))


def test_every_shipped_board_can_be_built_for():
    for target in all_targets():
        assert target.buildable, target.name


def test_emulated_boards_name_their_machine_and_real_ones_do_not():
    for target in all_targets():
        machine = target.firmware.machine if target.firmware else None
        assert (machine is not None) == (target.link.kind == "emulated"), target.name


def test_any_pi_claims_only_what_every_pi_keeps():
    """`rpi` must not promise more than the weakest model: its facts are in each 64-bit model's file."""
    rpi = find_target("rpi")
    for name in ("rpi3", "rpi4", "rpi5", "rpi-zero2w"):
        model = find_target(name)
        assert (model.arch, model.runtime, model.precisions) == (rpi.arch, rpi.runtime, rpi.precisions)
        assert model.cores[0].count == rpi.cores[0].count
        assert set(rpi.cores[0].features) <= set(model.cores[0].features)
    assert rpi.cores[0].clock_hz is None
    assert rpi.memory[0].size_bytes is None


def test_example_in_the_docs_is_a_valid_board(tmp_path):
    text = (ROOT / "docs/targets.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    path = tmp_path / "my-board.toml"
    path.write_text(example)
    target = find_target(str(path))
    assert target.cores[0].clock_hz == 1_800_000_000
    assert target.memory[0].bandwidth_bytes_per_s == 12_800_000_000


def test_example_in_the_docs_shows_every_key():
    text = (ROOT / "docs/targets.md").read_text()
    source = (ROOT / "targets/schema.py").read_text()
    keys = set(re.findall(r'table\.\w+\(\s*"(\w+)"', source)) | set(
        re.findall(r'root\.\w+\(\s*"(\w+)"', source)
    )
    assert {"clock", "bandwidth", "unsupported_operators", "default_precision"} <= keys
    missing = {key for key in keys if not re.search(rf"\b{key}\b( =|\])", text)}
    assert not missing
