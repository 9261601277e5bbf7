"""Kernels of a delegate laid along the operators that they were made of."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edgepack.toolchain.analyze.kernels import attribute


@dataclass(frozen=True)
class Piece:
    name: str
    time_ns: float = 1000.0
    index: int | None = None
    error_ns: float = 10.0


def chain(draft, *names):
    """A graph of operators, each on the output of the one before."""
    last = first = draft.add((1, 4))
    for name in names:
        result = draft.add((1, 4))
        draft.op(name, [last], [result])
        last = result
    return draft.graph([first], [last])


def owners(graph, *kernels):
    """Names of the kernels of each operator, and of those that belong to none."""
    found = attribute(graph, [Piece(name) for name in kernels])
    return [list(timing.kernels) for timing in found.operators], list(found.apart)


IGEMM, DWCONV = "Convolution (NHWC, QC8) IGEMM", "Convolution (NHWC, QC8) DWConv"
GEMM, RESHAPE, CLAMP = "Fully Connected (NC, QS8, QC8W) GEMM", "Static Reshape (NC)", "Clamp (NC)"


def test_one_kernel_an_operator(draft):
    graph = chain(draft, "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "SOFTMAX")
    assert owners(graph, IGEMM, DWCONV, GEMM, "Softmax (NC, F32)") == (
        [[IGEMM], [DWCONV], [GEMM], ["Softmax (NC, F32)"]],
        [],
    )


def test_helpers_go_to_the_operator_that_they_help(draft):
    graph = chain(draft, "ADD", "CONV_2D", "RESHAPE", "FULLY_CONNECTED")
    assert owners(graph, "Add (ND)", CLAMP, IGEMM, RESHAPE, RESHAPE, GEMM) == (
        [["Add (ND)", CLAMP], [IGEMM], [RESHAPE], [RESHAPE, GEMM]],
        [],
    )


def test_what_is_dropped_gets_no_helper(draft):
    graph = chain(draft, "CONV_2D", "DEQUANTIZE", "FULLY_CONNECTED")
    assert owners(graph, IGEMM, RESHAPE, GEMM) == ([[IGEMM], [], [RESHAPE, GEMM]], [])


def test_fused_operators_have_no_time_of_their_own(draft):
    graph = chain(draft, "PAD", "CONV_2D", "RELU", "CONV_2D", "RELU6")
    found = attribute(graph, [Piece(IGEMM, 500.0), Piece(IGEMM, 700.0), Piece(CLAMP, 20.0)])
    times = [timing.time_ns for timing in found.operators]
    assert times == [None, 500.0, None, 700.0, 20.0]
    assert found.operators[0].error_ns is None
    assert found.operators[0].kernels == ()


def test_a_lost_operator_does_not_shift_the_others(draft):
    graph = chain(draft, "CONV_2D", "TANH", "DEPTHWISE_CONV_2D", "MUL")
    assert owners(graph, IGEMM, DWCONV, "Multiply (ND)") == (
        [[IGEMM], [], [DWCONV], ["Multiply (ND)"]],
        [],
    )


def test_a_kernel_that_fits_nowhere_stays_apart(draft):
    graph = chain(draft, "CONV_2D", "ADD")
    found = attribute(graph, [Piece(IGEMM), Piece("Warp Drive (NC)", 321.0), Piece("Add (ND)")])
    assert [timing.kernels for timing in found.operators] == [(IGEMM,), ("Add (ND)",)]
    assert found.apart == ("Warp Drive (NC)",)
    assert found.apart_ns == 321.0


def test_the_runtimes_own_operators_are_where_it_says(draft):
    graph = chain(draft, "CONV_2D", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX")
    pieces = [
        Piece(IGEMM, 90.0),
        Piece("AVERAGE_POOL_2D", 3.0, index=1),
        *(Piece(RESHAPE, 0.0), Piece(GEMM, 1.5)),
        Piece("SOFTMAX", 1.0, index=4),
        Piece("DELEGATE", 7.0, index=99),
    ]
    found = attribute(graph, pieces)
    assert [timing.time_ns for timing in found.operators] == [90.0, 3.0, 0.0, 1.5, 1.0]
    assert (found.apart, found.apart_ns) == (("DELEGATE",), 7.0)


def test_times_and_errors_of_several_kernels_add_up(draft):
    graph = chain(draft, "FULLY_CONNECTED")
    pieces = [Piece("Convert (NC, F32, QD8)", 100.0), Piece("Fully Connected (NC, QD8, F32, QC8W)", 900.0)]
    (timing,) = attribute(graph, pieces).operators
    assert (timing.time_ns, timing.error_ns) == (1000.0, 20.0)


def test_every_kernel_has_one_place(draft):
    graph = chain(draft, *["CONV_2D", "ADD", "RELU"] * 5)
    kernels = [IGEMM, "Add (ND)", CLAMP] * 5
    placed, apart = owners(graph, *kernels)
    assert placed == [[name] for name in kernels]
    assert not apart


def test_a_model_too_large_to_align_stays_apart(draft, monkeypatch):
    monkeypatch.setattr("edgepack.toolchain.analyze.kernels._MAX_CELLS", 1)
    assert owners(chain(draft, "CONV_2D", "ADD"), IGEMM, "Add (ND)") == ([[], []], [IGEMM, "Add (ND)"])


def test_a_long_model_is_aligned_within_seconds(draft):
    graph = chain(draft, *["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RELU"] * 60)
    placed, _ = owners(graph, *[IGEMM, DWCONV, "Add (ND)", CLAMP] * 60)
    assert all(len(names) == 1 for names in placed)


@pytest.mark.parametrize("model", ["kws_ref_model.tflite", "pretrainedResnet_quant.tflite"])
def test_what_litert_really_reports(shared_graph, model):
    """Kernel names as LiteRT 2.3.0 gave them on x86-64."""
    graph = shared_graph(model)
    if "kws" in model:
        names = [IGEMM, *[DWCONV, GEMM] * 4]
        tail = [
            Piece("AVERAGE_POOL_2D", index=9),
            *map(Piece, (RESHAPE, RESHAPE, GEMM)),
            Piece("SOFTMAX", index=12),
        ]
    else:
        names = [*[IGEMM] * 3, "Add (ND)", CLAMP] * 3
        tail = [
            Piece("AVERAGE_POOL_2D", index=12),
            *map(Piece, (RESHAPE, RESHAPE, GEMM)),
            Piece("SOFTMAX", index=15),
        ]
    found = attribute(graph, [*map(Piece, names), *tail])
    assert found.apart == ()
    assert all(timing.kernels for timing in found.operators)
