from __future__ import annotations

from dataclasses import replace

import pytest

from edgepack.targets.model import Core, Link, MemoryRegion, Runtime, Target
from edgepack.toolchain.analyze.cost import analyze
from edgepack.toolchain.analyze.fit import fit


def region(name, kind, size_bytes):
    return MemoryRegion(name, kind, size_bytes, None, None, "test")


def target(*memory, family="mcu", lacking=(), precisions=("int8", "int4")):
    return Target(
        name="board",
        title="A board",
        family=family,
        arch="armv7e-m",
        cores=(Core("cortex-m4", "armv7e-m", 1, 80_000_000, (), "test"),),
        memory=memory,
        runtime=Runtime("mcu" if family == "mcu" else "litert", None, lacking),
        link=Link("serial"),
        power_sensors=(),
        default_precision="int8",
        precisions=precisions,
        buildable=True,
        not_buildable_reason=None,
        source="test",
    )


@pytest.fixture
def dense(draft):
    """8 KiB of float32 weights, 64 + 128 bytes of activations."""
    x, w, y = draft.add((1, 16)), draft.add((32, 64), constant=True), draft.add((1, 32))
    return draft.op("FULLY_CONNECTED", [x, w, -1], [y]).graph([x], [y], size_bytes=9000)


def judge(graph, board):
    return fit(graph, analyze(graph), board)


def test_it_fits(dense):
    verdict = judge(dense, target(region("flash", "flash", 8192), region("sram", "ram", 192)))
    assert verdict.runs is True
    assert [(m.kind, m.needed_bytes, m.available_bytes, m.short_bytes) for m in verdict.memory] == [
        ("flash", 8192, 8192, 0),
        ("ram", 192, 192, 0),
    ]
    assert verdict.advice == ()
    assert verdict.precision == "float32"


def test_one_byte_short(dense):
    verdict = judge(dense, target(region("flash", "flash", 8191), region("sram", "ram", 191)))
    assert verdict.runs is False
    assert [m.short_bytes for m in verdict.memory] == [1, 1]
    assert any("Quantize to int8" in line for line in verdict.advice)
    assert any("operator 0 (FULLY_CONNECTED)" in line and "'t2' 128 bytes" in line for line in verdict.advice)


def test_data_lies_in_one_region(dense):
    """Two small RAM regions do not add up to one arena."""
    board = target(region("flash", "flash", 9000), region("dtcm", "ram", 100), region("sram", "ram", 150))
    verdict = judge(dense, board)
    assert verdict.memory[1].region == "sram"
    assert verdict.memory[1].short_bytes == 42


def test_no_size_no_verdict(dense):
    verdict = judge(dense, target(region("flash", "flash", None)))
    flash, ram = verdict.memory
    assert flash.fits is ram.fits is verdict.runs is None
    assert flash.short_bytes is None
    assert flash.unknown_reason == "target 'board' states no size for flash"
    assert ram.unknown_reason == "target 'board' states no ram"


def test_a_known_region_that_is_large_enough_settles_it(dense):
    board = target(region("flash", "flash", 9000), region("psram", "ram", None), region("sram", "ram", 4096))
    assert judge(dense, board).runs is True
    board = replace(board, memory=(*board.memory[:2], region("sram", "ram", 100)))
    assert judge(dense, board).memory[1].fits is None, "the region without a size may be the larger one"


def test_linux_holds_everything_in_ram(dense):
    verdict = judge(dense, target(region("ram", "ram", 1 << 30), family="linux"))
    (ram,) = verdict.memory
    assert (ram.kind, ram.needed_bytes, ram.fits) == ("ram", 9000 + 192, True)
    assert "runtime" in ram.left_out


def test_unsupported_operators(draft, new_draft):
    x, y = draft.add((4,)), draft.add((4,))
    draft.op("ERF", [x], [y]).op("CUSTOM", [y], [y], custom_code="MyOp").op("ERF", [y], [y])
    inner = new_draft(1)
    a = inner.add((4,))
    graph = draft.graph([x], [y], inner.op("WHILE", [a], [a]).subgraph())
    board = target(region("ram", "ram", 1 << 20), family="linux", lacking=("CUSTOM", "ERF", "WHILE"))
    verdict = judge(graph, board)
    assert [(u.op, u.indices) for u in verdict.unsupported] == [
        ("ERF", (0, 2)),
        ("MyOp", (1,)),
        ("WHILE", ()),
    ]
    assert verdict.runs is False
    assert verdict.advice[0].startswith("Replace ERF")


def test_advice_for_an_int8_model(draft):
    x, w, y = (
        draft.add((1, 16), "int8"),
        draft.add((32, 64), "int8", constant=True),
        draft.add((1, 32), "int8"),
    )
    graph = draft.op("FULLY_CONNECTED", [x, w, -1], [y]).graph([x], [y])
    small = target(region("flash", "flash", 1024), region("sram", "ram", 1024))
    assert any("int4" in line for line in judge(graph, small).advice)
    without = replace(small, precisions=("int8",))
    assert not any("int4" in line for line in judge(graph, without).advice)


def test_published_model_on_every_shipped_board(shared_graph):
    from edgepack.targets.registry import all_targets

    graph = shared_graph("kws_ref_model.tflite")
    cost = analyze(graph)
    for board in all_targets():
        verdict = fit(graph, cost, board)
        assert verdict.target == board.name
        assert all(m.fits is not None or m.unknown_reason for m in verdict.memory)


def test_microcontrollers_lack_what_has_no_kernel_in_c(draft):
    x, y = draft.add((4,)), draft.add((4,))
    graph = draft.op("ABS", [x], [y]).op("ERF", [y], [y]).graph([x], [y])
    verdict = judge(graph, target(region("flash", "flash", 1024), region("sram", "ram", 1 << 20)))
    assert [(u.op, u.indices) for u in verdict.unsupported] == [("ERF", (1,))]
    assert verdict.advice[0] == "Replace ERF in the model: generated C does not have it."
