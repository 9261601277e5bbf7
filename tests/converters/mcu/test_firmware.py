"""Images for boards: where they lie, what boots them, what the formats say, and that they run."""

from __future__ import annotations

import binascii
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.converters.errors import CompilerError, ConversionError
from edgepack.converters.mcu.compile import compile_model
from edgepack.converters.mcu.compilers import find_compiler
from edgepack.converters.mcu.emulator import board_of, emulate
from edgepack.converters.mcu.firmware import GoldenBytes, build_image, build_library, linker_script, seal_boot
from edgepack.converters.mcu.host_run import run_on_host
from edgepack.converters.mcu.image_formats import load_segments, to_bin, to_hex, to_uf2
from edgepack.converters.mcu.product import ensure_fits
from edgepack.converters.mcu.sizes import sizes_of
from edgepack.targets.registry import all_targets, find_target
from tests.converters.mcu.cores import BOARDS, compiler_or_skip, emulator_or_skip, pattern, small_model

MODELS = Path(__file__).resolve().parents[4] / "shared" / "models"
SEGMENTS = st.lists(st.binary(min_size=1, max_size=700), min_size=1, max_size=4)


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> GoldenBytes:
    inputs = (pattern(8 * 8 * 4),)
    code = compile_model(small_model(), name="m")
    (outputs,) = run_on_host(code, find_compiler(None), [inputs], tmp_path_factory.mktemp("host"))
    return GoldenBytes(inputs, outputs)


# Zig builds its run-time library for a core once, which takes many seconds.
@pytest.mark.parametrize("compiler", ["gcc", pytest.param("zig", marks=pytest.mark.slow)])
@pytest.mark.parametrize("board", BOARDS)
def test_every_emulated_board_gives_the_bytes_of_plain_c(
    board: str, compiler: str, golden: GoldenBytes, tmp_path: Path
) -> None:
    emulator_or_skip(board)
    target = find_target(board)
    code = compile_model(small_model(), name="m", core=target.cores[0])
    built = compiler_or_skip(target.cores[0], compiler)
    elf = build_image(code, target, built, golden, tmp_path, ticks=True)
    run = emulate(elf, target)
    assert run.wrong_bytes == 0
    assert 0 < run.stack_bytes < 2000
    macs = sum(call.macs for call in code.program.calls)
    assert macs / 4 < run.instructions < 100 * macs
    counted = sum(run.call_instructions)
    assert abs(counted - run.instructions) <= 300 + 2 * run.resolution
    sizes = sizes_of(elf, "m", tmp_path)
    assert sizes.flash["weights"] >= 8 * 36 + 72 + 1024
    assert sizes.arena_bytes == code.plan.arena_bytes
    assert {"kernels", "model code", "start-up and self test"} <= sizes.flash.keys()
    assert sizes.flash["other"] < 600


def test_an_image_that_computes_something_else_is_noticed(golden: GoldenBytes, tmp_path: Path) -> None:
    board = "qemu-mps2-an386"
    emulator_or_skip(board)
    target = find_target(board)
    code = compile_model(small_model(seed=2), name="m", core=target.cores[0])
    elf = build_image(code, target, find_compiler(target.cores[0]), golden, tmp_path)
    assert emulate(elf, target).wrong_bytes > 0


def test_known_counts_of_a_public_model(tmp_path: Path) -> None:
    """The outputs that every build of TFLite Micro gives, from the emulated Cortex-M4."""
    path = MODELS / "kws_ref_model.tflite"
    if not path.is_file():
        pytest.skip("the MLPerf Tiny models are not at hand (../shared/models)")
    target = find_target("qemu-mps2-an386")
    emulator_or_skip(target.name)
    code = compile_model(path, name="kws", core=target.cores[0])
    known = GoldenBytes((pattern(490),), (bytes.fromhex("8080808080808080807e8082"),))
    assert binascii.crc32(known.outputs[0]) == 0x13DBD71A
    run = emulate(build_image(code, target, find_compiler(target.cores[0]), known, tmp_path), target)
    assert run.wrong_bytes == 0
    assert run.instructions < 7_697_238, "TFLite Micro with CMSIS-NN needs this many"


def test_every_core_has_an_emulated_board() -> None:
    for target in all_targets():
        if target.family == "mcu" and target.arch != "native":
            board = board_of(target.cores[0])
            assert board in BOARDS, target.name


def test_library_has_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    core = find_target("cortex-m4").cores[0]
    code = compile_model(small_model(), name="m", core=core)
    first, second = (build_library(code, find_compiler(core), tmp_path / name) for name in ("a", "long/er"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("board", ["rpi-pico", "rpi-pico2", "nucleo-l4r5zi"])
def test_images_of_real_boards(board: str, golden: GoldenBytes, tmp_path: Path) -> None:
    """What a boot ROM reads: stack pointer and reset vector, and what comes before them."""
    target = find_target(board)
    core = target.cores[0]
    code = compile_model(small_model(), name="m", core=core)
    elf = build_image(code, target, find_compiler(core), golden, tmp_path)
    start, data = to_bin(load_segments(elf))
    flash = next(region for region in target.memory if region.kind == "flash")
    ram = next(region for region in target.memory if region.kind == "ram")
    assert start == flash.address
    at = 256 if board == "rpi-pico" else 0
    stack, reset = struct.unpack_from("<2I", data, at)
    assert stack == ram.address + ram.size_bytes
    assert reset & 1
    assert start < reset < start + len(data)
    if board == "rpi-pico":
        assert seal_boot(data[:252]) == data[:256]
    if board == "rpi-pico2":
        assert struct.pack("<2I", 0xFFFFDED3, 0x10210142) in data[:4096]


def test_seal_boot_is_the_crc_of_the_rp2040() -> None:
    """CRC-32/MPEG-2, whose check value of "123456789" is 0x0376E6E7; zeros follow up to 252 bytes."""
    sealed = seal_boot(b"123456789")
    crc = 0xFFFFFFFF
    for bit in np.unpackbits(np.frombuffer(b"123456789".ljust(252, b"\0"), np.uint8)):
        crc = ((crc << 1) ^ (0x04C11DB7 if (crc >> 31) ^ int(bit) else 0)) & 0xFFFFFFFF
    assert sealed == b"123456789".ljust(252, b"\0") + struct.pack("<I", crc)
    with pytest.raises(CompilerError, match="253 bytes of 252"):
        seal_boot(bytes(253))


@given(SEGMENTS, st.integers(0, 0x1000_0000))
def test_formats_hold_the_same_bytes(parts: list[bytes], base: int) -> None:
    segments, address = [], base
    for part in parts:
        segments.append((address, part))
        address += len(part) + 37
    start, data = to_bin(segments)
    held = dict(enumerate(data, start))
    assert all(held[a + i] == byte for a, part in segments for i, byte in enumerate(part))
    assert read_hex(to_hex(segments)) == {a + i: b for a, part in segments for i, b in enumerate(part)}
    flashed = read_uf2(to_uf2(segments, 0xE48BFF56), 0xE48BFF56)
    assert all(flashed[a + i] == byte for a, part in segments for i, byte in enumerate(part))


def read_hex(text: str) -> dict[int, int]:
    """Read Intel HEX by its definition: every record sums to zero."""
    found, upper = {}, 0
    *records, end = text.splitlines()
    assert end == ":00000001FF"
    for record in records:
        data = bytes.fromhex(record[1:])
        assert sum(data) & 0xFF == 0
        size, address, kind, body = data[0], int.from_bytes(data[1:3], "big"), data[3], data[4:-1]
        assert size == len(body)
        if kind == 4:
            upper = int.from_bytes(body, "big") << 16
        else:
            assert address + size <= 0x10000
            found |= {upper + address + i: byte for i, byte in enumerate(body)}
    return found


def read_uf2(data: bytes, family: int) -> dict[int, int]:
    """Read UF2 as its specification says a boot loader must."""
    found: dict[int, int] = {}
    assert len(data) % 512 == 0
    for number in range(len(data) // 512):
        block = data[number * 512 : number * 512 + 512]
        first, second, flags, address, size, index, count, who = struct.unpack_from("<8I", block)
        assert (first, second, block[-4:]) == (0x0A324655, 0x9E5D5157, struct.pack("<I", 0x0AB16F30))
        assert (flags, size, index, count, who) == (0x2000, 256, number, len(data) // 512, family)
        assert address % 256 == 0
        found |= {address + i: byte for i, byte in enumerate(block[32 : 32 + size])}
    return found


def test_linker_script_takes_the_first_region_that_holds_it() -> None:
    target = find_target("qemu-mps3-an547")
    small, large = (linker_script(target, 1000, size) for size in (1000, 600_000))
    assert "ORIGIN = 0x0, LENGTH = 524288" in small
    assert "ORIGIN = 0x1000000, LENGTH = 2097152" in large
    assert "@" not in small
    with pytest.raises(CompilerError, match="has no ram for this model: 5002048 bytes are needed"):
        linker_script(target, 5_000_000, 1000)


def test_what_does_not_fit_says_by_how_much_before_anything_is_built() -> None:
    pico = find_target("rpi-pico")
    (ram,) = (region for region in pico.memory if region.kind == "ram")
    tiny = replace(pico, memory=tuple(replace(r, size_bytes=1000) if r == ram else r for r in pico.memory))
    code = compile_model(small_model(), name="m", core=pico.cores[0])
    ensure_fits(code, pico)
    with pytest.raises(ConversionError) as caught:
        ensure_fits(code, tiny)
    needed = code.plan.arena_bytes + 2048
    assert f"needs {needed} bytes of ram" in caught.value.message
    assert f"{needed - 1000} too few" in caught.value.message
    assert "edgepack inspect MODEL --target rpi-pico" in caught.value.remedy


def test_a_missing_compiler_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for core in (find_target("cortex-m4").cores[0], find_target("riscv32imc").cores[0], None):
        with pytest.raises(CompilerError, match="no C compiler") as caught:
            find_compiler(core)
        assert 'pip install "edgepack[mcu]"' in caught.value.remedy
