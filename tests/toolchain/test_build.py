"""One package from a request: reuse, the account of a build, and refusals before any work."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from edgepack.targets.errors import TargetError
from edgepack.targets.registry import find_target
from edgepack.toolchain.build import build, known_builds
from edgepack.toolchain.packaging.signature import create_key
from edgepack.toolchain.progress import silent
from edgepack.toolchain.project import Settings
from edgepack.toolchain.stages import BuildRequest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.converters.quantize.conftest import build_cnn

    path = tmp_path_factory.mktemp("model") / "cnn.tflite"
    build_cnn(path)
    return path


@pytest.fixture
def request_(model: Path, tmp_path: Path) -> BuildRequest:
    create_key(tmp_path / "key")
    return BuildRequest(
        source=str(model), name="cnn", target=find_target("rpi"), precision="float16", settings=Settings(),
        folder=tmp_path, key=tmp_path / "key", output=tmp_path / "dist",
    )  # fmt: skip


def test_second_build_is_the_first(request_: BuildRequest) -> None:
    first, second = build(request_, silent), build(request_, silent)
    assert (first.reused, second.reused) == (False, True)
    assert first.summary == second.summary
    assert (first.summary.metric, first.summary.float_value) == (None, None)
    (known,) = known_builds(request_.folder, {first.summary.package_id})
    assert dataclasses.replace(known, package=None) == dataclasses.replace(first.summary, package=None)
    assert known_builds(request_.folder, {"0" * 64}) == []


@pytest.mark.parametrize(
    "changes", [{"name": "other"}, {"precision": "float32"}, {"target": find_target("rpi4")}], ids=str
)
def test_whatever_decides_the_package_makes_another(
    request_: BuildRequest, changes: dict[str, object]
) -> None:
    first = build(request_, silent)
    second = build(dataclasses.replace(request_, **changes), silent)
    assert not second.reused
    assert second.summary.package_id != first.summary.package_id


def test_another_key_signs_again_the_same_package(request_: BuildRequest, tmp_path: Path) -> None:
    first = build(request_, silent)
    before = first.package.read_bytes()
    create_key(tmp_path / "second")
    second = build(dataclasses.replace(request_, key=tmp_path / "second"), silent)
    assert not second.reused
    assert second.summary.package_id == first.summary.package_id
    assert second.package.read_bytes() != before


def test_damaged_result_is_built_again(request_: BuildRequest) -> None:
    first = build(request_, silent)
    (result,) = (request_.folder / ".edgepack/build").glob("*/result.json")
    result.write_text("{")
    shutil.rmtree(request_.output)
    again = build(request_, silent)
    assert not again.reused
    assert again.summary.package_id == first.summary.package_id
    (known,) = known_builds(request_.folder, {first.summary.package_id})
    assert dataclasses.replace(known, package=None) == dataclasses.replace(first.summary, package=None)


def test_precision_that_the_target_does_not_run(request_: BuildRequest) -> None:
    phone = dataclasses.replace(request_, target=find_target("phone-arm64"), precision="int16x8")
    with pytest.raises(TargetError, match="does not run int16x8") as caught:
        build(phone, silent)
    assert "float16" in caught.value.remedy
    assert not (request_.folder / ".edgepack").exists()
