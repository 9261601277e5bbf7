"""Wrong arguments and wrong keys: the exit code, what is wrong, and the nearest right name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.shell import write_lab

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Packages
    from tests.end_to_end.shell import Shell

ARGUMENTS = [
    ("build nothing.tflite", 3, "nothing.tflite"),
    ("build cnn.tflit", 3, "Did you mean 'cnn.tflite'?"),
    ("build --target rpi44", 4, "Did you mean 'rpi4'?"),
    ("build --target cortex-m4 -p int4", 4, "Did you mean 'int8'?"),
    ("build --target ./none.toml", 4, "none.toml"),
    ("build -p int88", 3, "Did you mean 'int8'?"),
    ("build --target phone-arm64 -p int16x8", 4, "Choose one of"),
    ("build --metric top2", 5, "Did you mean 'top1'?"),
    ("build --metric nothing:here", 5, "nothing"),
    ("build --representative calibratoin.npz", 3, "Did you mean 'calibration.npz'?"),
    ("build --evaluation none.csv", 3, "none.csv"),
    ("build --labels none.txt", 3, "none.txt"),
    ("build --key none", 7, "none"),
    ("build --project elsewhere.toml", 3, "elsewhere.toml"),
    ("build broken.tflite", 5, "broken.tflite"),
    ("build model.xyz", 5, "model.xyz"),
    ("inspect broken.tflite", 5, "broken.tflite"),
    ("inspect --target rpi55", 4, "rpi5"),
    ("targets rpi-zero3", 4, "rpi-zero2w"),
    ("verify none.epk", 7, "none.epk"),
    ("verify broken.epk", 7, "broken.epk"),
    ("verify broken.epk --allowed-signers none", 7, "broken.epk"),
    ("deploy none.epk -d local", 7, "none.epk"),
    ("deploy broken.epk -d local", 7, "broken.epk"),
    ("deploy broken.epk", 3, "--device"),
    ("deploy broken.epk -d locla", 3, "Did you mean 'local'?"),
    ("deploy broken.epk -g desk", 3, "desk"),
    ("deploy broken.epk -d local --lab none.toml", 3, "none.toml"),
    ("bench none.epk -d local", 7, "none.epk"),
    ("bench broken.epk -d local --batches 0", 3, "batches"),
    ("bench broken.epk -d local --min-runs -1", 3, "min_runs"),
    ("rollback cnn -d locla", 3, "Did you mean 'local'?"),
    ("report", 10, "edgepack run"),
    ("report --run none", 10, "edgepack run"),
    ("report --store broken.epk", 3, "broken.epk"),
    ("run -d locla", 3, "Did you mean 'local'?"),
    ("devices trust locla", 3, "Did you mean 'local'?"),
    ("devices add pi/4 --host pi4", 3, "pi/4"),
    ("devices add pi --host=-oProxyCommand=x", 3, "host"),
    ("devices add pi --host pi4 --target rpi44", 4, "rpi4"),
    ("devices remove nothing", 3, "nothing"),
    ("init --target rpi55 new", 4, "rpi5"),
]
USAGE = [
    ("bulid", "Did you mean 'build'?"),
    ("build --taget rpi", "--target"),
    ("build --batch 0", "--batch"),
    ("build --io int9", "int9"),
    ("deploy", "PACKAGE"),
    ("deploy x.epk --jobs 0", "--jobs"),
    ("bench x.epk --batches 1,two", "1,two"),
    ("devices ad", "ad"),
    ("devices add pi", "--host"),
    ("report --all-run", "--all-runs"),
    ("targets a b", "b"),
]
KEYS = [
    ("[modle]\n", "modle", "Did you mean 'model'?"),
    ('[model]\npaht = "x"', "model.paht", "Did you mean 'path'?"),
    ("[model]\nbatch = 0", "model.batch", "found 0"),
    ('[model]\nname = "Not A Name"', "model.name", "Not A Name"),
    ('[data]\nrepresentativ = "x"', "data.representativ", "Did you mean 'representative'?"),
    ('[data.preprocessing]\nlayout = "NHCW"', "data.preprocessing.layout", "Did you mean 'NHWC'?"),
    ("[data.preprocessing]\nscale = 0", "data.preprocessing.scale", "found 0"),
    ("[quality]\nmax_dorp = 1", "quality.max_dorp", "Did you mean 'max_drop'?"),
    ("[quality]\nmax_drop = -1", "quality.max_drop", "found -1"),
    ('[build]\nprecisions = ["int88"]', "build.precisions.0", "Did you mean 'int8'?"),
    ('[build]\nio = "int9"', "build.io", "Did you mean 'int8'?"),
    ('[[build.overrides]]\npattern = "a"\nprecison = "int8"', "build.overrides.0.precision", "missing"),
    ('[[build.overrides]]\npattern = ""\nprecision = "int8"', "build.overrides.0.pattern", ""),
    ("[sign]\nkye = 1", "sign.kye", "Did you mean 'key'?"),
    ('[deploy]\ndevice = ["a"]', "deploy.device", "Did you mean 'devices'?"),
    ("[deploy]\njobs = 0", "deploy.jobs", "found 0"),
    ("[bench]\nbatches = [0]", "bench.batches", "between 1 and 1024"),
    ("[bench]\nthread = [1]", "bench.thread", "Did you mean 'threads'?"),
    ("[bench]\nmax_seconds = 0", "bench.max_seconds", "found 0"),
    ("[report]\noutptu = 1", "report.outptu", "Did you mean 'output'?"),
    ("[model\n", "line 1", "TOML"),
]
LAB_KEYS = [
    ({"hots": "x"}, "hots", "Did you mean 'host'?"),
    ({"host": "x", "port": 0}, "port", ""),
    ({"host": "x", "prot": 22}, "prot", "Did you mean 'port'?"),
    ({"host": "x", "runtime": "sytem"}, "runtime", "system"),
    ({"kind": "shh", "host": "x"}, "kind", "ssh"),
    ({"kind": "ssh"}, "host", ""),
    ({"kind": "local", "host": "x"}, "host", ""),
    ({"host": "x", "link_timeout_s": 0}, "link_timeout_s", ""),
]


@pytest.fixture
def broken(project: Shell) -> Shell:
    (project.folder / "broken.tflite").write_bytes(b"\x1c\0\0\0TFL3" + b"\xff" * 64)
    (project.folder / "broken.epk").write_bytes(b"PK\x03\x04 and no zip")
    (project.folder / "model.xyz").write_bytes(b"?")
    return project


@pytest.mark.parametrize(("line", "code", "text"), ARGUMENTS, ids=[line for line, *_ in ARGUMENTS])
def test_wrong_arguments(broken: Shell, line: str, code: int, text: str) -> None:
    answer = broken.edgepack(*line.split(), "--json")
    answer.failed(code, text)
    document = answer.document
    if "error" in document:
        error = document["error"]
        assert (error["exit_code"], bool(error["message"]), bool(error["remedy"])) == (code, True, True)
    else:
        assert document["failures"][0]["exit_code"] == code
    assert not (broken.folder / "dist").exists()


@pytest.mark.parametrize(("line", "text"), USAGE, ids=[line for line, _ in USAGE])
def test_wrong_usage(shell: Shell, line: str, text: str) -> None:
    answer = shell.edgepack(*line.split())
    assert answer.code == 2
    assert text in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(("toml", "key", "text"), KEYS, ids=[key for _, key, _ in KEYS])
def test_wrong_project_keys(shell: Shell, toml: str, key: str, text: str) -> None:
    (shell.folder / "edgepack.toml").write_text(toml + "\n")
    shell.edgepack("build", "model.tflite", "--target", "rpi").failed(3, "edgepack.toml", key, text)


@pytest.mark.parametrize(
    ("fields", "key", "text"), LAB_KEYS, ids=[f"{key}-{text}" for _, key, text in LAB_KEYS]
)
def test_wrong_lab_keys(shell: Shell, fields: dict[str, object], key: str, text: str) -> None:
    write_lab(shell.folder / "lab.toml", pi=fields)
    shell.edgepack("devices", "list").failed(3, "lab.toml", "pi", key, text)


def test_no_key_to_sign_with(project: Shell) -> None:
    environment = {name: value for name, value in project.environment.items() if name != "EDGEPACK_KEY"}
    bare = project.__class__(project.folder, environment)
    bare.edgepack("build").failed(7, "edgepack keys --create")
    bare.edgepack("keys").failed(7, "edgepack keys --create")
    made = bare.edgepack("keys", "--create", "--json").ok().document
    assert bare.edgepack("keys", "--json").ok().document == made
    bare.edgepack("keys", "--create").failed(7, made["key"])
    bare.edgepack("build").ok()


def test_wrong_package_for_what_is_installed(shell: Shell, packages: Packages) -> None:
    lab = write_lab(
        shell.folder / "lab.toml", here={"kind": "local", "work_dir": str(shell.folder / "device")}
    )
    arguments = ("--device", "here", "--lab", lab)
    shell.edgepack("bench", packages.old, *arguments).failed(10, "no version of 'cnn'", "edgepack deploy")
    shell.edgepack("deploy", packages.old, *arguments).ok()
    shell.edgepack("bench", packages.new, *arguments).failed(10, "expected")
    shell.edgepack("rollback", "cnn", *arguments).failed(9, "before the one in use")


def test_init_writes_what_build_reads(shell: Shell, inputs) -> None:
    import shutil

    shell.edgepack("init", "--model", "cnn.tflite").ok()
    shutil.copyfile(inputs / "cnn.tflite", shell.folder / "cnn.tflite")
    again = shell.edgepack("init", "--json").ok()
    assert again.document["written"] == [] and len(again.document["kept"]) == 2
    assert shell.edgepack("devices", "list", "--json").ok().document
    shell.edgepack("build", "-p", "float32").ok()
