"""`edgepack build` as a user meets it: precisions, the gate, reuse, reproducibility, hooks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgepack.converters.runtime import LiteRtModel
from edgepack.toolchain.packaging.archive import open_package
from tests.end_to_end.shell import leftovers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.shell import Shell


def stages(shell: Shell) -> dict[str, set[str]]:
    """Return the kept results of each stage."""
    root = shell.folder / ".edgepack"
    return {
        folder.name: {each.name for each in folder.iterdir()} for folder in root.iterdir() if folder.is_dir()
    }


def run_python(shell: Shell, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the shell's folder and environment."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=shell.folder, env=shell.environment, capture_output=True, text=True, timeout=120
    )


def packed_model(package: Path, folder: Path) -> LiteRtModel:
    """Return the model inside a package."""
    with open_package(package) as opened:
        path = folder / "packed.tflite"
        path.write_bytes(opened.read(opened.manifest.model))
    return LiteRtModel.open(path)


def test_project_file_alone_is_enough(project: Shell) -> None:
    done = project.edgepack("build", "--json").ok()
    (built,) = done.document
    assert (built["name"], built["target"], built["precision"]) == ("cnn", "rpi", "int8")
    assert built["samples"] == 200
    assert abs(built["float_value"] - built["deployed_value"]) <= 0.05
    assert (project.folder / "dist/cnn-rpi-int8.epk").is_file()
    assert leftovers(project.folder) == []
    assert "quantize to int8" in done.err


def test_same_inputs_give_the_same_bytes_in_another_folder(project: Shell, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "deeper"
    other.parent.mkdir()
    shutil.copytree(project.folder, other)
    project.edgepack("build", "-p", "int8", "-p", "float16").ok()
    project.within(other).edgepack("build", "-p", "int8", "-p", "float16").ok()
    names = sorted(path.name for path in (project.folder / "dist").iterdir())
    assert names == ["cnn-rpi-float16.epk", "cnn-rpi-int8.epk"]
    for name in names:
        assert (project.folder / "dist" / name).read_bytes() == (other / "dist" / name).read_bytes(), name


def test_rebuild_with_nothing_changed_loads_no_runtime(project: Shell) -> None:
    first = project.edgepack("build", "--json").ok().document
    before = (project.folder / "dist/cnn-rpi-int8.epk").stat()
    code = (
        "import sys\n"
        "from edgepack.toolchain.cli.main import run\n"
        "status = run(['build', '--json'])\n"
        "heavy = ('ai_edge_litert', 'tensorflow', 'litert_quantizer', 'paramiko', 'numpy', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    again = run_python(project, code)
    assert again.returncode == 0, again.stderr
    assert again.stderr.splitlines()[-1] == "[]"
    (second,) = json.loads(again.stdout)
    assert (first[0]["reused"], second["reused"]) == (False, True)
    assert second["package_id"] == first[0]["package_id"]
    after = (project.folder / "dist/cnn-rpi-int8.epk").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_build_from_tflite_imports_no_tensorflow(project: Shell) -> None:
    code = (
        "import sys\n"
        "from edgepack.toolchain.cli.main import run\n"
        "status = run(['build'])\n"
        "print([name for name in ('tensorflow', 'keras', 'torch', 'paramiko') if name in sys.modules])\n"
        "sys.exit(status)\n"
    )
    done = run_python(project, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_deleted_package_is_put_back_without_a_build(project: Shell) -> None:
    project.edgepack("build").ok()
    package = project.folder / "dist/cnn-rpi-int8.epk"
    content = package.read_bytes()
    package.unlink()
    assert project.edgepack("build", "--json").ok().document[0]["reused"]
    assert package.read_bytes() == content


def test_another_precision_imports_the_model_once(project: Shell) -> None:
    project.edgepack("build", "-p", "int8").ok()
    before = stages(project)
    project.edgepack("build", "-p", "float16").ok()
    after = stages(project)
    assert before["import"] == after["import"] and len(after["import"]) == 1
    assert len(after["quantize"]) == 2
    assert len(after["build"]) == 2


@pytest.mark.parametrize("changed", ["cnn.tflite", "calibration.npz", "evaluation.npz"])
def test_changed_input_is_built_again(project: Shell, changed: str) -> None:
    first = project.edgepack("build", "-p", "int8", "--json").ok().document[0]
    if changed == "cnn.tflite":
        shutil.copyfile(project.folder / "fragile.tflite", project.folder / changed)
    else:
        import numpy as np

        with np.load(project.folder / changed) as old:
            np.savez(project.folder / changed, **{name: old[name][:50] for name in old.files})
    second = project.edgepack("build", "-p", "int8", "--json", "--allow-quality-drop").ok().document[0]
    assert not second["reused"]
    assert second["package_id"] != first["package_id"]


def test_float_input_and_output(project: Shell, tmp_path: Path) -> None:
    project.edgepack("build", "--io", "float32").ok()
    model = packed_model(project.folder / "dist/cnn-rpi-int8.epk", tmp_path)
    assert [details.dtype.name for details in (*model.inputs, *model.outputs)] == ["float32", "float32"]
    project.edgepack("build", "--io", "int8").ok()
    model = packed_model(project.folder / "dist/cnn-rpi-int8.epk", tmp_path)
    assert [details.dtype.name for details in (*model.inputs, *model.outputs)] == ["int8", "int8"]


def test_batch_is_the_models_own(project: Shell, tmp_path: Path) -> None:
    built = project.edgepack("build", "--batch", "4", "--json").ok().document[0]
    model = packed_model(project.folder / "dist/cnn-rpi-int8.epk", tmp_path)
    assert model.inputs[0].shape == (4, 12, 12, 1)
    assert abs(built["float_value"] - built["deployed_value"]) <= 0.05


def test_quality_gate_names_the_tensors_and_can_be_overruled(project: Shell) -> None:
    refused = project.edgepack("build", "fragile.tflite", "-p", "int8")
    refused.failed(6, "top1", "falls by", "'dense/logits'", "--allow-quality-drop", "edgepack.toml")
    assert not (project.folder / "dist").exists()
    assert leftovers(project.folder) == []
    allowed = project.edgepack("build", "fragile.tflite", "-p", "int8", "--allow-quality-drop", "--json").ok()
    (built,) = allowed.document
    assert built["float_value"] - built["deployed_value"] > 0.3
    assert built["worst_tensors"][0]["name"] == "dense/logits"
    assert (project.folder / "dist/fragile-rpi-int8.epk").is_file()


def test_override_keeps_a_layer_at_another_precision(project: Shell) -> None:
    with (project.folder / "edgepack.toml").open("a") as file:
        file.write('overrides = [{ pattern = "dense/*", precision = "float32" }]\n')
    built = project.edgepack("build", "fragile.tflite", "-p", "int8", "--allow-quality-drop", "--json").ok()
    assert built.document[0]["kept_precision"] == {"dense/logits": "float32"}


def test_auto_shows_its_path(project: Shell) -> None:
    done = project.edgepack("build", "fragile.tflite", "-p", "auto").ok()
    assert "The path of auto, fragile for rpi" in done.out
    assert "may lose too much" in done.out and "kept" in done.out
    built = project.edgepack("build", "fragile.tflite", "-p", "auto", "--json").ok().document[0]
    accepted = [step for step in built["search"] if step["accepted"]]
    assert built["kept_precision"] and accepted
    assert built["float_value"] - built["deployed_value"] <= 0.05
    assert any(not step["accepted"] for step in built["search"])
    assert built["package_id"] and built["precision"] == "auto"


HOOKS = """
import numpy as np

def calibration():
    with np.load("calibration.npz") as data:
        for row in data["x"]:
            yield row[None]

def half_correct(scores, labels):
    return float((np.argmax(scores, axis=1) == labels).mean()) / 2
"""


def test_hooks_give_data_and_metric(project: Shell) -> None:
    (project.folder / "hooks.py").write_text(HOOKS)
    arguments = ("--representative", "hooks:calibration", "--metric", "hooks:half_correct", "--json")
    built = project.process("build", *arguments).ok().document[0]
    assert built["metric"] == "hooks:half_correct"
    assert 0.3 < built["float_value"] < 0.45
    (project.folder / "hooks.py").write_text(HOOKS + "\n# changed\n")
    assert not project.process("build", *arguments).ok().document[0]["reused"]


def test_several_targets_and_precisions(project: Shell) -> None:
    done = project.edgepack(
        "build", "-t", "rpi", "-t", "phone-arm64", "-p", "float16", "-p", "int8", "--json"
    )
    found = [(built["target"], built["precision"]) for built in done.ok().document]
    assert found == [("rpi", "float16"), ("rpi", "int8"), ("phone-arm64", "float16"), ("phone-arm64", "int8")]


def test_stray_output_of_a_hook_keeps_json_whole(project: Shell) -> None:
    (project.folder / "hooks.py").write_text(
        HOOKS.replace("def calibration():", "def calibration():\n    print('hello')")
    )
    done = project.process("build", "--representative", "hooks:calibration", "--json").ok()
    assert "hello" in done.err
    assert done.document[0]["name"] == "cnn"
