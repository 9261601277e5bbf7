from __future__ import annotations

from pathlib import Path

import pytest

from edgepack.targets.errors import EdgepackError
from edgepack.toolchain import project as project_module
from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.project import is_hook, load_project, package_name, write_templates


@pytest.fixture(autouse=True)
def user_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user-config"
    folder.mkdir()
    monkeypatch.setattr(project_module, "user_config_path", lambda _: folder)
    return folder / "config.toml"


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "edgepack.toml").write_text(text)
    return folder / "edgepack.toml"


def test_found_in_a_folder_above(tmp_path: Path) -> None:
    write(tmp_path / "p", '[model]\npath = "m.tflite"\n')
    below = tmp_path / "p" / "a" / "b"
    below.mkdir(parents=True)
    project = load_project(start=below)
    assert project.folder == tmp_path / "p"
    assert project.settings.model.path == str(tmp_path / "p" / "m.tflite")


def test_no_file_gives_defaults(tmp_path: Path) -> None:
    project = load_project(start=tmp_path)
    assert project.file is None
    assert project.settings.quality.max_drop == 0.01
    with pytest.raises(ProjectError, match="No model was named"):
        project.model_source()


def test_project_wins_over_user_key_by_key(tmp_path: Path, user_config: Path) -> None:
    user_config.write_text('[build]\nio = "float32"\noutput = "/u/dist"\n[bench]\nmin_runs = 7\n')
    write(tmp_path / "p", '[build]\nio = "int8"\n')
    settings = load_project(tmp_path / "p").settings
    assert (settings.build.io, settings.build.output, settings.bench.min_runs) == ("int8", "/u/dist", 7)


def test_an_error_in_the_user_file_names_it(tmp_path: Path, user_config: Path) -> None:
    user_config.write_text("[bench]\nmin_runs = 0\n")
    write(tmp_path / "p", "")
    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path / "p")
    assert "config.toml: bench.min_runs:" in caught.value.message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[modle]\n", ["edgepack.toml", "'modle'", "'model'"]),
        ("[quality]\nmax_dropp = 1\n", ["'quality.max_dropp'", "'max_drop'"]),
        ('[build]\nprecisions = ["int9"]\n', ["build.precisions.0", "'int9'", "'int8'"]),
        ("[bench]\nbatches = [0]\n", ["bench.batches", "between 1 and 1024"]),
        ("[bench]\nbatches = []\n", ["bench.batches"]),
        ("[model]\nbatch = 0\n", ["model.batch", "found 0"]),
        ('[model]\nname = "../x"\n', ["model.name", "'../x'"]),
        ("[data]\nrepresentative = 3\n", ["data.representative", "found 3"]),
        ("[[build.overrides]]\npattern = 'x'\n", ["build.overrides.0.precision", "missing"]),
        ("[data.preprocessing]\nscael = 1\n", ["data.preprocessing.scael", "'scale'"]),
        ("model = 3\n", ["model", "found 3"]),
        ("[model\n", ["not valid TOML"]),
        ("\xff", ["not valid TOML"]),
    ],
)
def test_a_wrong_file_names_the_key(tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "edgepack.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path)
    for part in parts:
        assert part in caught.value.message
    assert caught.value.remedy


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ProjectError, match="1048577 bytes"):
        load_project(tmp_path)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        load_project(tmp_path / "other.toml")


def test_hooks_are_not_paths(tmp_path: Path) -> None:
    write(tmp_path / "p", '[data]\nrepresentative = "my.data:load"\nevaluation = "e.npz"\n')
    data = load_project(tmp_path / "p").settings.data
    assert data.representative == "my.data:load"
    assert data.evaluation == str(tmp_path / "p" / "e.npz")
    assert is_hook("a.b:c")
    assert not is_hook("C:/x") and not is_hook("a.npz") and not is_hook("a b:c")


@pytest.mark.parametrize(
    ("source", "name"),
    [("My Model (v2).keras", "my-model-v2"), ("nets.fashion:make", "nets.fashion"), ("/x/é.tflite", "model")],
)
def test_package_name(source: str, name: str) -> None:
    assert package_name(source) == name


def test_templates_are_valid_and_never_overwrite(tmp_path: Path) -> None:
    written, kept = write_templates(tmp_path / "new", model="net.keras", target="rpi", name="net")
    assert [p.name for p in written] == ["edgepack.toml", "lab.toml"] and not kept
    project = load_project(tmp_path / "new")
    assert project.settings.model.name == "net"
    assert project.settings.build.targets == ("rpi",)
    (tmp_path / "new" / "lab.toml").unlink()
    written, kept = write_templates(tmp_path / "new", model="new.h5", target="rpi", name="new")
    assert [p.name for p in written] == ["lab.toml"] and [p.name for p in kept] == ["edgepack.toml"]
    assert "new.h5" not in (tmp_path / "new" / "edgepack.toml").read_text()


def test_templates_uncommented_are_valid_too(tmp_path: Path) -> None:
    write_templates(tmp_path, model="net.keras", target="rpi", name="net")
    path = tmp_path / "edgepack.toml"
    lines = []
    for line in path.read_text().splitlines():
        body = line.removeprefix("# ")
        is_setting = " = " in body.split("#")[0] or body.startswith("[")
        lines.append(body if line.startswith("# ") and is_setting else line)
    path.write_text("\n".join(lines))
    settings = load_project(tmp_path).settings
    assert settings.quality.minimum == 0.85
    assert settings.build.overrides[0].pattern == "*/head/*"


def test_a_value_that_breaks_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgepackError, match="quotation mark"):
        write_templates(tmp_path, model='a"b', target="rpi", name="x")
