"""The committed example from its Keras file to the report: on this machine, and over a real sshd."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.shell import QUICK_BENCH, Shell, clean_environment, made_once, ssh_device, write_lab
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from collections.abc import Callable

FASHION = Path(__file__).resolve().parents[2] / "examples/fashion"
FILES = ("edgepack.toml", "fashion.keras", "calibration.npz", "evaluation.npz", "labels.txt")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def fashion(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Shell:
    """The example's folder with its int8 package built."""
    pytest.importorskip("keras")

    def environment(folder: Path) -> dict[str, str]:
        return clean_environment(folder / "home", EDGEPACK_KEY=str(keys / "own"))

    def make(folder: Path) -> None:
        for name in FILES:
            shutil.copyfile(FASHION / name, folder / name)
        Shell(folder, environment(folder)).edgepack("build", "-p", "int8").ok()

    folder = made_once(tmp_path_factory, "fashion", make)
    return Shell(folder, environment(folder))


def test_run_on_this_machine(fashion: Shell, tmp_path: Path) -> None:
    report = ("--report", tmp_path / "report", "--store", tmp_path / "results.sqlite")
    lab = write_lab(tmp_path / "lab.toml", here={"kind": "local", "work_dir": str(tmp_path / "device")})
    precisions = ("-p", "float32", "-p", "int8")
    arguments = ("run", *precisions, "--device", "here", "--lab", lab, *QUICK_BENCH, *report, "--json")
    document = fashion.edgepack(*arguments).ok().document
    assert [package["precision"] for package in document["packages"]] == ["float32", "int8"]
    assert document["failures"] == []
    sizes = {package["precision"]: package["model_bytes"] for package in document["packages"]}
    assert sizes["int8"] < sizes["float32"] * 0.7
    for package in document["packages"]:
        assert package["metric"] == "top1" and package["deployed_value"] > 0.85
    assert len(document["runs"]) == 2
    html = (tmp_path / "report/report.html").read_text()
    assert "fashion" in html and "http://" not in html.replace("http://www.w3.org", "")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "report.csv", "report.html", "report.json", "report.md",
    ]  # fmt: skip


@pytest.fixture
def deploy_to(fashion: Shell, sshd: Sshd, tmp_path: Path) -> Callable[..., dict[str, object]]:
    def deploy(**fields: object) -> dict[str, object]:
        device = ssh_device(sshd, tmp_path / "device", target="rpi", **fields)
        lab = write_lab(tmp_path / "lab.toml", pi=device)
        options = ("--device", "pi", "--lab", lab, "--json")
        fashion.edgepack("devices", "trust", "pi", "--yes", "--lab", lab).ok()
        package = fashion.folder / "dist/fashion-rpi-int8.epk"
        (done,) = fashion.edgepack("deploy", package, *options).ok().document["deployments"]
        store = ("--store", tmp_path / "results.sqlite")
        (record,) = fashion.edgepack("bench", package, *options, *QUICK_BENCH, *store).ok().document["runs"]
        assert record["package"]["package_id"] == done["package_id"]
        return done

    return deploy


@needs_sshd
def test_over_ssh_with_the_systems_runtime(deploy_to: Callable[..., dict[str, object]]) -> None:
    done = deploy_to(runtime="system", python=sys.executable)
    assert done["runtime"]["source"] == "system"


@needs_sshd
def test_over_ssh_with_a_runtime_that_is_brought(
    fashion: Shell, deploy_to: Callable[..., dict[str, object]]
) -> None:
    """Wheels for the device's own Python come from the package index once, into the user's cache."""
    python = next((path for path in ("/usr/bin/python3",) if Path(path).exists()), sys.executable)
    probe = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--quiet",
        "--dest",
        str(fashion.folder / "pip"),
    ]
    reached = subprocess.run(
        [*probe, "--timeout", "5", "--retries", "0", "typing-extensions"], capture_output=True
    )
    if reached.returncode:
        pytest.skip(f"pip cannot reach a package index: {reached.stderr.decode()[-200:]}")
    done = deploy_to(runtime="auto", python=python)
    assert done["runtime"]["source"] == "provisioned"
