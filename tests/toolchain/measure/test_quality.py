"""The score of a device's outputs over the packaged evaluation set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepack.toolchain.measure.quality import device_quality
from edgepack.toolchain.packaging.archive import open_package, write_package
from tests.toolchain.records import LABELS, SAMPLES, make_manifest


@pytest.fixture
def write(tmp_path: Path):
    """Write a package whose files are what `make_manifest` names."""
    import hashlib

    def write(metric: str = "top1", *, evaluation: bool = True) -> Path:
        manifest = make_manifest(evaluation=evaluation, model_bytes=4)
        contents = {entry.path: bytes(entry.size_bytes) for entry in manifest.files}
        if evaluation:
            contents["e/l.bin"] = LABELS.astype("<i8").tobytes()
            contents["e/x.bin"] = (np.arange(SAMPLES * 8) % 100).astype("<i1").tobytes()
        entries = [
            entry.model_copy(update={"sha256": hashlib.sha256(contents[entry.path]).hexdigest()})
            for entry in manifest.files
        ]
        changes = {"files": entries}
        if evaluation:
            changes["evaluation"] = manifest.evaluation.model_copy(update={"metric": metric})
        write_package(tmp_path / "p.epk", manifest.model_copy(update=changes), contents, b"unchecked here")
        return tmp_path / "p.epk"

    return write


def scores(right: int) -> np.ndarray:
    """Outputs that put the first `right` samples on their labels and all others beside."""
    labels = np.where(np.arange(SAMPLES) < right, LABELS, (LABELS + 1) % 4)
    return np.eye(4, dtype=np.float32)[labels]


@pytest.mark.parametrize("right", [0, 31, SAMPLES])
def test_top1_of_the_devices_outputs(write, tmp_path: Path, right: int) -> None:
    with open_package(write()) as package:
        score = device_quality(package, folder=tmp_path)((scores(right),))
    assert (score.metric, score.value, score.samples) == ("top1", right / SAMPLES, SAMPLES)
    assert score.low <= score.value <= score.high


def test_without_an_evaluation_set_there_is_no_score(write, tmp_path: Path) -> None:
    with open_package(write(evaluation=False)) as package:
        assert device_quality(package, folder=tmp_path) is None


def test_a_metric_of_the_users_own(write, tmp_path: Path) -> None:
    (tmp_path / "device_metric.py").write_text("def first(outputs, labels):\n    return float(labels[1])\n")
    with open_package(write("device_metric:first")) as package:
        score = device_quality(package, folder=tmp_path)((scores(3),))
    assert score.value == 1.0
