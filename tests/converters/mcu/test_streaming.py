"""Models that keep state from one frame to the next: variables, and the wake-word models of a package."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Op, build, spec

FRAMES = 200
WAKE_WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


def wake_word(name: str) -> bytes:
    package = pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    return (Path(package.__file__).parent / "models" / f"{name}.tflite").read_bytes()


@pytest.mark.parametrize("name", WAKE_WORDS)
def test_wake_word_models_give_the_bytes_of_tflite_micro_on_every_frame(name, run_c, run_tflm):
    model = wake_word(name)
    draw = np.random.default_rng(20_261_122)
    frames = draw.integers(-128, 128, (FRAMES, 1, 3, 40), np.int8)
    frames[FRAMES // 2 :] = np.sort(
        frames[FRAMES // 2 :], axis=0
    )  # values that change slowly reach the output
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))


def variable_model(*, initial: np.ndarray | None = None, end: bool = False, late: bool = False) -> bytes:
    """Return a model of one variable: it is read, joined with the input, and takes a part of both."""
    kinds = {"scale": 0.5, "zero_point": 4}
    tensors = [
        spec(1, 2, 20, **kinds, name="frame"),
        spec(dtype="resource"),
        spec(1, 4, 20, **kinds),
        spec(1, 6, 20, **kinds, name="window"),
        spec(dtype="int32", data=[0, 0 if end else 2, 0]),
        spec(dtype="int32", data=[1, 4, 20]),
        spec(1, 4, 20, **kinds),
        spec(dtype="int32", data=[0, 0, 0]),
        spec(dtype="int32", data=[1, 6, 20]),
        spec(dtype="int32", data=[1, 2, 1]),
        spec(1, 3, 20, **kinds, name="out"),
    ]
    order = [0, 2] if end else [2, 0]
    handle = {"shared_name": b"ring", "container": b""}
    once = Op("CALL_ONCE", [], [], {"init_subgraph_index": 1})
    operators = [
        Op("VAR_HANDLE", [], [1], handle),
        Op("READ_VARIABLE", [1], [2]),
        Op("CONCATENATION", order, [3], {"axis": 1}),
        Op("SLICE", [3, 4, 5], [6]),
        Op("ASSIGN_VARIABLE", [1, 6], []),
        Op("STRIDED_SLICE", [3, 7, 8, 9], [10]),
    ]
    operators.insert(2 if late else 0, once)
    begin = np.full((1, 4, 20), 3, np.int8) if initial is None else initial
    other = (
        [spec(dtype="resource"), spec(data=begin, **kinds)],
        [Op("VAR_HANDLE", [], [0], handle), Op("ASSIGN_VARIABLE", [0, 1], [])],
    )
    return build(tensors, operators, [0], [10], [other])


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("initial", [None, np.arange(80, dtype=np.int8).reshape(1, 4, 20)])
def test_a_variable_lives_in_its_window_at_either_end(end, initial, run_c, run_tflm):
    model = variable_model(initial=initial, end=end)
    frames = np.random.default_rng(3).integers(-128, 128, (12, 1, 2, 20), np.int8)
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))
    code = compile_model(model, name="model")
    (state,) = code.program.state
    assert state in code.program.views
    assert [call.kernel for call in code.program.calls] == ["ep_move_strided", "ep_move_bytes"]


def test_streams_on_two_arenas_do_not_disturb_each_other(build_c, run_c):
    model = variable_model(initial=np.arange(80, dtype=np.int8).reshape(1, 4, 20))
    code = compile_model(model, name="model")
    library = build_c(code)
    begin, end = (code.plan.offsets[v] for v in (code.program.inputs[0], code.program.outputs[0]))
    arenas = [np.zeros(code.plan.arena_bytes // 4 + 1, np.int32) for _ in range(2)]
    streams = np.random.default_rng(4).integers(-128, 128, (2, 9, 1, 2, 20), np.int8)
    for arena in arenas:
        library.model_init(arena.ctypes.data_as(ctypes.c_void_p))
    found: list[list[np.ndarray]] = [[], []]
    for frame in range(9):
        for number, arena in enumerate(arenas):
            memory = arena.view(np.int8)
            memory[begin : begin + 40] = streams[number, frame].reshape(-1)
            library.model_invoke(arena.ctypes.data_as(ctypes.c_void_p))
            found[number].append(memory[end : end + 60].reshape(1, 3, 20).copy())
    for number in range(2):
        np.testing.assert_array_equal(np.stack(found[number]), run_c(model, streams[number]))


def test_a_variable_that_nothing_initializes_begins_as_its_zero_point(run_c, run_tflm):
    kinds = {"scale": 0.5, "zero_point": 4}
    tensors = [spec(1, 4, **kinds), spec(dtype="resource"), spec(1, 4, **kinds), spec(1, 4, **kinds)]
    operators = [
        Op("VAR_HANDLE", [], [1], {"shared_name": b"last", "container": b""}),
        Op("READ_VARIABLE", [1], [2]),
        Op("MAXIMUM", [0, 2], [3]),
        Op("ASSIGN_VARIABLE", [1, 3], []),
    ]
    model = build(tensors, operators, [0], [3])
    frames = np.random.default_rng(5).integers(-128, 128, (9, 1, 4), np.int8)
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))


def test_errors_name_the_operator_and_the_variable():
    with pytest.raises(ConversionError, match=r"Operator 2, CALL_ONCE: it comes after a variable"):
        compile_model(variable_model(late=True), name="model")
    with pytest.raises(ConversionError, match="variable 'ring' of 80 bytes begins with 40"):
        compile_model(variable_model(initial=np.zeros((1, 2, 20), np.int8)), name="model")
