"""The typed API: the same stages as on the command line, from Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgepack
from edgepack.targets.errors import TargetError
from edgepack.toolchain import api
from edgepack.toolchain.errors import MeasurementError, ProjectError, SignatureError
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key

BOARDS = Path(__file__).resolve().parents[2] / "targets" / "boards"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.converters.quantize.conftest import build_cnn, images

    folder = tmp_path_factory.mktemp("model")
    build_cnn(folder / "cnn.tflite")
    np.savez(folder / "calibration.npz", x=images(40, 20)[0])
    return folder / "cnn.tflite"


@pytest.fixture
def project(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a key, as the current one."""
    for name in [name for name in os.environ if name.startswith(("EDGEPACK_", "XDG_"))]:
        monkeypatch.delenv(name)
    create_key(tmp_path / "key")
    monkeypatch.setenv("EDGEPACK_KEY", str(tmp_path / "key"))
    monkeypatch.setenv("EDGEPACK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_import_loads_nothing() -> None:
    code = "import sys, edgepack; print(sorted(name for name in sys.modules if name.startswith('edgepack.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert set(edgepack.__all__) <= set(dir(edgepack))


def test_build_deploy_bench_and_find(project: Path, model: Path) -> None:
    stages: list[str] = []
    built = edgepack.build(
        model, target="rpi", precision="int8", representative=model.with_name("calibration.npz"),
        report=lambda stage, _done, _total: stages.append(stage),
    )  # fmt: skip
    assert built.package == project / "dist/cnn-rpi-int8.epk"
    assert stages == ["import", "data", "quantize to int8", "verify", "pack and sign"]
    assert api.verify_package(built.package).manifest.precision == "int8"
    with pytest.raises(MeasurementError, match="no version of 'cnn'"):
        edgepack.bench(built.package, batches=(1,), threads=(1,))
    deployment = edgepack.deploy(built.package)
    assert deployment.package_id == built.summary.package_id
    quick = {"batches": (1,), "threads": (1,), "min_seconds": 0.01, "min_runs": 3, "memory": False}
    record = edgepack.bench(built.package, tag="first", **quick)
    records, builds = api.find_results(tag="first")
    assert [found.run_id for found in records] == [record.run_id]
    assert [found.package_id for found in builds] == [built.summary.package_id]
    with pytest.raises(MeasurementError, match="No run in"):
        api.find_results(tag="second")


def test_inspection_counts_without_a_build(project: Path, model: Path) -> None:
    inspection = api.inspect(model, targets=["rpi4", "cortex-m4"])
    assert inspection.precision == "float32"
    assert inspection.cost.macs == 6 * 6 * 6 * 9 + 8 * 216
    assert [fit.target for fit in inspection.fits] == ["rpi4", "cortex-m4"]
    assert not (project / ".edgepack").exists()
    four = api.inspect(model, batch=4)
    assert four.cost.macs == 4 * inspection.cost.macs


def test_precisions_come_in_one_order_and_from_the_target(project: Path, model: Path) -> None:
    def planned(**given: object) -> list[str]:
        values = {"targets": ["rpi"], "precisions": [], **given}
        requests = api.plan_builds(model, project=None, options=api.BuildOptions(), **values)
        return [request.precision for request in requests]

    assert planned(precisions=["int8", "float32", "int8"]) == ["float32", "int8"]
    assert planned() == ["int8"]
    (project / "edgepack.toml").write_text('[build]\nprecisions = ["float16"]\n')
    assert planned() == ["float16"]
    assert planned(precisions=["int8"]) == ["int8"]


def test_what_cannot_be_planned(project: Path, model: Path) -> None:
    plan = {"precisions": [], "project": None, "options": api.BuildOptions()}
    with pytest.raises(ProjectError, match="No target was named"):
        api.plan_builds(model, targets=[], **plan)
    with pytest.raises(ProjectError, match="No model was named"):
        api.plan_builds(None, targets=["rpi"], **plan)
    closed = 'family = "mcu"\nbuildable = false\nnot_buildable_reason = "Its compiler is not public."'
    board = (BOARDS / "cortex-m4.toml").read_text().replace('"cortex-m4"', '"closed"', 1)
    board = board.replace('family = "mcu"', closed)
    (project / "closed.toml").write_text(board)
    with pytest.raises(TargetError, match="inspected but not built"):
        api.plan_builds(model, targets=["./closed.toml"], **plan)


def test_packages_of_strangers_do_not_verify(project: Path, model: Path, tmp_path: Path) -> None:
    built = edgepack.build(model, target="rpi", precision="float32")
    create_key(tmp_path / "stranger")
    (tmp_path / "signers").write_text(allowed_signers_line(public_key(tmp_path / "stranger"), "eve"))
    with pytest.raises(SignatureError):
        api.verify_package(built.package, allowed_signers=tmp_path / "signers")
    assert api.verify_package(built.package).signer


def test_devices_at_a_time_come_from_the_flag_else_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_text("[deploy]\njobs = 3\n")
    assert api.select_fleet(names=["local"], project=tmp_path).parallel == 3
    assert api.select_fleet(names=["local"], project=tmp_path, jobs=5).parallel == 5
