from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError
from edgepack.converters.runtime import LiteRtModel, check_runs

if TYPE_CHECKING:
    from edgepack.converters import runtime

MODELS = Path(__file__).resolve().parents[3] / "shared/models"
FLOAT, INT8 = MODELS / "pretrainedResnet.tflite", MODELS / "pretrainedResnet_quant.tflite"

with_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the MLPerf Tiny models are not on this machine")


@with_models
def test_details_of_inputs_and_outputs() -> None:
    model = LiteRtModel.open(INT8)
    (image,), (scores,) = model.inputs, model.outputs
    assert (image.shape, image.dtype) == ((1, 32, 32, 3), np.int8)
    assert (scores.shape, scores.scale, scores.zero_point) == ((1, 10), 1 / 256, -128)
    assert LiteRtModel.open(FLOAT).inputs[0].scale is None


@with_models
@pytest.mark.parametrize("kernels", ["default", "builtin", "reference"])
def test_all_kernels_agree_on_a_float_model(kernels: runtime.Kernels) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    (expected,) = LiteRtModel.open(FLOAT).run([image])
    (found,) = LiteRtModel.open(FLOAT.read_bytes(), kernels=kernels, num_threads=2).run([image])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.sum() == pytest.approx(1, abs=1e-5)


@with_models
def test_the_named_kernels_are_the_ones_that_run() -> None:
    """XNNPACK replaces operators by DELEGATE nodes; the other two kernels must not."""

    def operators(kernels: runtime.Kernels) -> set[str]:
        model = LiteRtModel.open(FLOAT, kernels=kernels)
        return {op["op_name"] for op in model._interpreter._get_ops_details()}

    assert "DELEGATE" in operators("default")
    assert "DELEGATE" not in operators("builtin") | operators("reference")


@with_models
def test_intermediate_tensors_can_be_read_when_they_are_kept() -> None:
    image = np.ones((1, 32, 32, 3), np.float32)
    kept = LiteRtModel.open(FLOAT, kernels="reference", preserve_all_tensors=True)
    (scores,) = kept.run([image])
    np.testing.assert_array_equal(kept.tensor(kept.outputs[0].index), scores)
    hidden = kept.outputs[0].index - 1
    assert kept.tensor(hidden).size > 0
    plain = LiteRtModel.open(FLOAT)
    plain.run([image])
    with pytest.raises(ConversionError, match="cannot be read"):
        plain.tensor(10_000)


@with_models
def test_outputs_are_copies() -> None:
    model = LiteRtModel.open(FLOAT)
    (first,) = model.run([np.zeros((1, 32, 32, 3), np.float32)])
    kept = first.copy()
    model.run([np.full((1, 32, 32, 3), 255, np.float32)])
    np.testing.assert_array_equal(first, kept)


@with_models
@pytest.mark.parametrize(
    "inputs",
    [[], [np.zeros((1, 32, 32, 3))], [np.zeros((2, 32, 32, 3), np.float32)]],
    ids=["none", "wrong type", "wrong shape"],
)
def test_inputs_that_do_not_fit(inputs: list[np.ndarray]) -> None:
    with pytest.raises(ConversionError, match=r"expected float32\[1, 32, 32, 3\]"):
        LiteRtModel.open(FLOAT).run(inputs)


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model" * 100)
    for use in (LiteRtModel.open, check_runs):
        with pytest.raises(ConversionError, match=r"LiteRT cannot load .*broken\.tflite") as raised:
            use(broken)
        assert raised.value.remedy
    with pytest.raises(ConversionError, match="LiteRT cannot load"):
        LiteRtModel.open(tmp_path / "missing.tflite")


@with_models
def test_check_runs_accepts_good_models() -> None:
    check_runs(FLOAT)
    check_runs(INT8)


@with_models
def test_flipped_bytes_never_bring_this_process_down(tmp_path: Path) -> None:
    """Whatever the damage does to the interpreter, it is an answer or a `ConversionError` here."""
    good = INT8.read_bytes()
    rng, crashes = np.random.default_rng(7), 0
    for number in range(4):
        bad = np.frombuffer(good, np.uint8).copy()
        where = rng.integers(0, len(bad), 60)
        bad[where] = rng.integers(0, 256, 60)
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(bad.tobytes())
        try:
            check_runs(path, timeout_s=60)
        except ConversionError as err:
            crashes += 1
            assert str(path) in err.message
    assert crashes >= 1


@with_models
def test_the_delegate_is_not_announced_on_the_terminal() -> None:
    code = f"from edgepack.converters.runtime import LiteRtModel as M; [M.open({str(FLOAT)!r}) for _ in '12']"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
