"""Models that keep state from one frame to the next: variables, and the wake-word models of a package."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.mcu.compile import compile_model
from tests.converters.mcu.models import Op, Spec, build, model_of, spec

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


def svdf(
    state: str, batches: int, inputs: int, units: int, rank: int, memory: int, zero_point: int = 0
) -> bytes:
    draw = np.random.default_rng(units)
    filters = units * rank
    if state == "float32":
        scales = dict.fromkeys(("input", "features", "time", "bias", "state", "output"))
        features, time, bias = (
            draw.standard_normal(shape) for shape in ((filters, inputs), (filters, memory), (units,))
        )
        first, dtypes = "float32", ("float32", "float32", "float32")
    else:
        scales = {"input": 0.05, "features": 0.02, "time": 0.01, "bias": 0.0001, "state": 0.01, "output": 0.1}
        largest = np.iinfo(state).max
        features = draw.integers(-127, 128, (filters, inputs))
        time = draw.integers(-largest // 4, largest // 4 + 1, (filters, memory))
        bias = draw.integers(-4000, 4000, units)
        first, dtypes = "int8", ("int8", state, "int32")
    tensor = Spec((batches, filters * memory), state, scales["state"], zero_point, is_variable=True)
    return model_of(
        "SVDF",
        [
            spec(batches, inputs, dtype=first, scale=scales["input"], zero_point=5 if first == "int8" else 0),
            spec(dtype=dtypes[0], data=features, scale=scales["features"]),
            spec(dtype=dtypes[1], data=time, scale=scales["time"]),
            spec(dtype=dtypes[2], data=bias, scale=scales["bias"]),
            tensor,
        ],
        [spec(batches, units, dtype=first, scale=scales["output"], zero_point=-7 if first == "int8" else 0)],
        {"rank": rank, "fused_activation_function": "RELU" if first == "float32" else "NONE"},
    )


@pytest.mark.parametrize("state", ["int8", "int16", "float32"])
@pytest.mark.parametrize("sizes", [(1, 8, 4, 1, 5), (2, 3, 5, 2, 4), (1, 4, 3, 3, 1)])
def test_svdf_gives_the_bytes_of_tflite_micro_over_time(state, sizes, run_c, run_tflm):
    model = svdf(state, *sizes)
    draw = np.random.default_rng(1)
    shape = 20, *sizes[:2]
    frames = (
        draw.standard_normal(shape).astype(np.float32)
        if state == "float32"
        else draw.integers(-128, 128, shape, np.int8)
    )
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))


def test_svdf_refuses_a_state_on_which_releases_of_tflite_micro_differ():
    with pytest.raises(ConversionError, match="state 't4' has zero point 9"):
        compile_model(svdf("int8", 1, 4, 2, 1, 3, zero_point=9), name="model")


def variable_model(*, initial: np.ndarray | None = None, end: bool = False, late: bool = False) -> bytes:
    """Return a model of one variable: it is read, joined with the input, and takes a part of both."""
    kinds = {"scale": 0.5, "zero_point": 4}
    tensors = [
        spec(1, 2, 4, **kinds, name="frame"),
        spec(dtype="resource"),
        spec(1, 4, 4, **kinds),
        spec(1, 6, 4, **kinds, name="window"),
        spec(dtype="int32", data=[0, 0 if end else 2, 0]),
        spec(dtype="int32", data=[1, 4, 4]),
        spec(1, 4, 4, **kinds),
        spec(dtype="int32", data=[0, 0, 0]),
        spec(dtype="int32", data=[1, 6, 4]),
        spec(dtype="int32", data=[1, 2, 1]),
        spec(1, 3, 4, **kinds, name="out"),
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
    begin = np.full((1, 4, 4), 3, np.int8) if initial is None else initial
    other = (
        [spec(dtype="resource"), spec(data=begin, **kinds)],
        [Op("VAR_HANDLE", [], [0], handle), Op("ASSIGN_VARIABLE", [0, 1], [])],
    )
    return build(tensors, operators, [0], [10], [other])


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("initial", [None, np.arange(16, dtype=np.int8).reshape(1, 4, 4)])
def test_a_variable_lives_in_its_window_at_either_end(end, initial, run_c, run_tflm):
    model = variable_model(initial=initial, end=end)
    frames = np.random.default_rng(3).integers(-128, 128, (12, 1, 2, 4), np.int8)
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))
    code = compile_model(model, name="model")
    (state,) = code.program.state
    assert state in code.program.views
    assert [call.kernel for call in code.program.calls] == ["ep_move_strided", "ep_move_bytes"]


def test_streams_on_two_arenas_do_not_disturb_each_other(build_c, run_c):
    model = variable_model(initial=np.arange(16, dtype=np.int8).reshape(1, 4, 4))
    code = compile_model(model, name="model")
    library = build_c(code)
    begin, end = (code.plan.offsets[v] for v in (code.program.inputs[0], code.program.outputs[0]))
    arenas = [np.zeros(code.plan.arena_bytes // 4 + 1, np.int32) for _ in range(2)]
    streams = np.random.default_rng(4).integers(-128, 128, (2, 9, 1, 2, 4), np.int8)
    for arena in arenas:
        library.model_init(arena.ctypes.data_as(ctypes.c_void_p))
    found: list[list[np.ndarray]] = [[], []]
    for frame in range(9):
        for number, arena in enumerate(arenas):
            memory = arena.view(np.int8)
            memory[begin : begin + 8] = streams[number, frame].reshape(-1)
            library.model_invoke(arena.ctypes.data_as(ctypes.c_void_p))
            found[number].append(memory[end : end + 12].reshape(1, 3, 4).copy())
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
    with pytest.raises(ConversionError, match="variable 'ring' of 16 bytes begins with 8"):
        compile_model(variable_model(initial=np.zeros((1, 2, 4), np.int8)), name="model")


def lstm(batches: int, steps: int, inputs: int, units: int, *, time_major: bool, clip: float = 0.0) -> bytes:
    draw = np.random.default_rng(units)

    def weights(*shape: int) -> Spec:
        scale = float(draw.uniform(0.004, 0.02))
        return spec(data=draw.integers(-127, 128, shape), scale=scale)

    def biases() -> Spec:
        return spec(dtype="int32", data=draw.integers(-9000, 9000, units), scale=1e-4)

    lead = (steps, batches) if time_major else (batches, steps)
    tensors: list[Spec | None] = [spec(*lead, inputs, scale=0.02, zero_point=11)]
    tensors += [weights(units, inputs) for _ in range(4)] + [weights(units, units) for _ in range(4)]
    tensors += [None] * 3 + [biases() for _ in range(4)] + [None] * 2
    tensors += [Spec((batches, units), "int8", 1 / 128, -3, is_variable=True)]
    tensors += [Spec((batches, units), "int16", 2.0**-11, 0, is_variable=True)]
    tensors += [None] * 4
    options = {"fused_activation_function": "TANH", "time_major": time_major, "cell_clip": clip}
    outputs = [spec(*lead, units, scale=1 / 128, zero_point=-3)]
    return model_of("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, outputs, options)


@pytest.mark.parametrize("clip", [0.0, 1.5])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("sizes", [(1, 5, 6, 4), (3, 2, 2, 5), (1, 1, 8, 8)])
def test_lstm_gives_the_bytes_of_tflite_micro_and_keeps_its_state(sizes, time_major, clip, run_c, run_tflm):
    model = lstm(*sizes, time_major=time_major, clip=clip)
    batches, steps, inputs, _ = sizes
    lead = (steps, batches) if time_major else (batches, steps)
    frames = np.random.default_rng(6).integers(-128, 128, (10, *lead, inputs), np.int8)
    np.testing.assert_array_equal(run_c(model, frames), run_tflm(model, frames))


def test_lstm_variants_that_tflite_micro_refuses_are_errors():
    def model(place: int) -> bytes:
        peephole = spec(dtype="int16", data=[1, 2, 3, 4], scale=0.01)
        tensors: list[Spec | None] = [spec(1, 5, 6, scale=0.02), *[None] * 23]
        tensors[place] = peephole
        return model_of("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, [spec(1, 5, 4, scale=0.1, name="out")])

    with pytest.raises(ConversionError, match="'out' is of an LSTM with peephole"):
        compile_model(model(9), name="model")
    with pytest.raises(ConversionError, match=r"operator 0 lacks inputs \[2, 3"):
        compile_model(model(1), name="model")
