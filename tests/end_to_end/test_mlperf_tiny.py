"""The MLPerf Tiny models through the command line; our int8 agrees with the models that were published.

The models lie beside the repository; without them these tests are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepack.converters.data.dataset import Dataset
from edgepack.converters.quantize.execute import run_dataset
from edgepack.converters.runtime import LiteRtModel
from edgepack.toolchain.packaging.archive import open_package
from tests.end_to_end.shell import QUICK_BENCH, Shell, clean_environment, made_once, write_lab

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODELS = Path(__file__).resolve().parents[3] / "shared/models"
TENSORFLOW = {"ad01.h5": "sounds", "pretrainedResnet.h5": "pictures", "kws_ref_model": "mfcc"}
FLOAT = {"ad01_fp32.tflite": "sounds", "pretrainedResnet.tflite": "pictures"}
QUANTIZED = ("ad01_int8.tflite", "pretrainedResnet_quant.tflite", "kws_ref_model.tflite")


def pictures(count: int, seed: int) -> NDArray[np.float32]:
    """Smooth random pictures, 0 to 255 as the model was trained on: CIFAR-10 itself is not at hand."""
    smooth = np.kron(np.random.default_rng(seed).random((count, 4, 4, 3)), np.ones((1, 8, 8, 1)))
    for axis in (1, 2):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 3
    return (smooth * 255).astype(np.float32)


def sounds(count: int, seed: int) -> NDArray[np.float32]:
    """Log-mel-like vectors: correlated values around the autoencoder's training range."""
    rng = np.random.default_rng(seed)
    return (rng.normal(-30, 6, (count, 1)) + np.cumsum(rng.normal(0, 0.6, (count, 640)), 1)).astype(
        np.float32
    )


def mfcc(count: int, seed: int) -> NDArray[np.float32]:
    """Cepstra-like features around the range that the published model's input scale covers."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 20, (count, 49, 10, 1)).astype(np.float32)


MAKERS = {"pictures": pictures, "sounds": sounds, "mfcc": mfcc}


def shared(name: str) -> Path:
    path = MODELS / name
    if not path.exists():
        pytest.skip(f"{name} is not in {MODELS}")
    return path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, keys: Path):
    """Build a shared model for rpi once for all tests and workers; returns the shell it was built in."""

    def build(name: str) -> tuple[Shell, Path]:
        path = shared(name)
        kind = {**TENSORFLOW, **FLOAT}.get(name)
        if name in TENSORFLOW:
            pytest.importorskip("keras")

        def make(folder: Path) -> None:
            environment = clean_environment(folder / "home", EDGEPACK_KEY=str(keys / "own"))
            arguments = ["build", path, "--target", "rpi", "--json"]
            if kind:
                np.savez(folder / "data.npz", x=MAKERS[kind](100, 1))
                arguments += ["-p", "int8", "--representative", folder / "data.npz"]
            done = Shell(folder, environment).edgepack(*arguments).ok()
            (folder / "built.json").write_text(done.out)

        folder = made_once(tmp_path_factory, f"mlperf-{name}", make)
        environment = clean_environment(folder / "home", EDGEPACK_KEY=str(keys / "own"))
        (package,) = (folder / "dist").glob("*.epk")
        return Shell(folder, environment), package

    return build


def outputs(model: Path | bytes, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a model of any precision over real values; returns real values."""
    data = Dataset((samples,), None, (), Path("samples"), "0" * 64)
    return run_dataset(LiteRtModel.open(model), data)[0]


def packed(package: Path) -> bytes:
    with open_package(package) as opened:
        return opened.read(opened.manifest.model)


def check_agrees(shell: Shell, package: Path, published: Path, kind: str) -> None:
    """Hold ours and the published int8 model against the float model, and against each other.

    Both were calibrated, the published one on real data and ours on synthetic samples, so their scales differ
    and bytes cannot be compared. Tolerance, on 200 new samples: ours strays from float at most 1.25 times as
    far as the published one does (root mean square), and ours gives float's class at most 3 percentage points
    less often, and the published model's at most 5 points less often than the published one gives float's.
    """
    samples = MAKERS[kind](200, 2)
    (imported,) = (shell.folder / ".edgepack/import").glob("*/*.tflite")
    ours, theirs, exact = (outputs(model, samples) for model in (packed(package), published, imported))
    assert ours.shape == theirs.shape == exact.shape
    our_error, their_error = (float(np.sqrt(((each - exact) ** 2).mean())) for each in (ours, theirs))
    assert our_error <= 1.25 * their_error
    if kind == "sounds":
        return
    ours, theirs, exact = (each.reshape(len(samples), -1).argmax(1) for each in (ours, theirs, exact))
    assert (ours == exact).mean() >= (theirs == exact).mean() - 0.03
    assert (ours == theirs).mean() >= (theirs == exact).mean() - 0.05


@pytest.mark.parametrize(
    ("name", "published"),
    [("ad01_fp32.tflite", "ad01_int8.tflite"), ("pretrainedResnet.tflite", "pretrainedResnet_quant.tflite")],
)
def test_float_tflite(built, name: str, published: str) -> None:
    shell, package = built(name)
    with open_package(package) as opened:
        assert opened.manifest.precision == "int8"
        assert {spec.dtype for spec in (*opened.manifest.inputs, *opened.manifest.outputs)} == {"int8"}
        assert len(opened.manifest.golden) > 0
    check_agrees(shell, package, shared(published), FLOAT[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("ad01.h5", "ad01_int8.tflite"),
        ("pretrainedResnet.h5", "pretrainedResnet_quant.tflite"),
        ("kws_ref_model", "kws_ref_model.tflite"),
    ],
)
def test_keras_2_and_saved_model(built, name: str, published: str) -> None:
    shell, package = built(name)
    check_agrees(shell, package, shared(published), TENSORFLOW[name])


@pytest.mark.parametrize("name", QUANTIZED)
def test_published_models_are_packed_as_they_are(built, name: str) -> None:
    _, package = built(name)
    assert packed(package) == shared(name).read_bytes()
    with open_package(package) as opened:
        assert opened.manifest.precision == "as-is"


@pytest.mark.parametrize("name", ["pretrainedResnet.tflite", "kws_ref_model.tflite"])
def test_deploy_and_bench(built, name: str, tmp_path: Path) -> None:
    shell, package = built(name)
    lab = write_lab(tmp_path / "lab.toml", here={"kind": "local", "work_dir": str(tmp_path / "device")})
    device = ("--device", "here", "--lab", lab, "--json")
    (done,) = shell.edgepack("deploy", package, *device).ok().document["deployments"]
    assert done["golden"]["max_error"] <= done["golden"]["tolerance"]
    store = ("--store", tmp_path / "results.sqlite")
    (record,) = shell.edgepack("bench", package, *device, *QUICK_BENCH, *store).ok().document["runs"]
    assert record["package"]["package_id"] == done["package_id"]
    assert record["metrics"]
