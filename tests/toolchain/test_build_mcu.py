"""A build for a microcontroller, from the model to a signed package whose content compiles and runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgepack.converters.mcu.compilers import find_compiler
from edgepack.converters.mcu.emulator import emulate, emulator_of
from edgepack.targets.registry import find_target
from edgepack.toolchain.build import Build, build
from edgepack.toolchain.errors import DeployError
from edgepack.toolchain.packaging.archive import load_package, open_package
from edgepack.toolchain.packaging.manifest import CompiledCode
from edgepack.toolchain.packaging.signature import create_key
from edgepack.toolchain.progress import silent
from edgepack.toolchain.project import Settings
from edgepack.toolchain.stages import BuildRequest
from tests.converters.mcu.cores import small_model


def request(folder: Path, target: str) -> BuildRequest:
    source = folder / "small.tflite"
    source.write_bytes(small_model())
    if not (folder / "key").exists():
        create_key(folder / "key")
    return BuildRequest(
        source=str(source), name="small-net", target=find_target(target), precision="int8",
        settings=Settings(), folder=folder, key=folder / "key", output=folder / "dist",
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return build(request(tmp_path_factory.mktemp("mcu"), "qemu-mps2-an386"), silent)


def test_package_names_what_it_holds(built: Build) -> None:
    manifest = load_package(built.package).manifest
    code = manifest.runtime
    assert isinstance(code, CompiledCode)
    assert (code.core, code.header, code.library) == ("cortex-m4", "c/src/small_net.h", "lib/libsmall_net.a")
    assert set(code.images) == {"elf", "bin", "hex"}
    assert manifest.golden_tolerance.max_error == 0.0
    assert "bit-exact" in manifest.golden_tolerance.reason


def test_code_of_the_package_gives_the_golden_outputs(tmp_path: Path) -> None:
    """A user's program around the unzipped folder, on this machine."""
    made = build(request(tmp_path, "native"), silent)
    with zipfile.ZipFile(made.package) as package:
        package.extractall(tmp_path)
    sources = sorted((tmp_path / "c/src").glob("*.c"))
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "small_net.h"\nstatic uint32_t arena[SMALL_NET_ARENA_BYTES / 4 + 1];\n'
        "int main(void) { fread(small_net_input_0(arena), 1, SMALL_NET_INPUT_0_SIZE, stdin);\n"
        "small_net_invoke(arena);\n"
        "fwrite(small_net_output_0(arena), 1, SMALL_NET_OUTPUT_0_SIZE, stdout); return 0; }\n"
    )
    host = find_compiler(None)
    objects = host.compile([*sources, tmp_path / "main.c"], tmp_path / "o", "-I", str(sources[0].parent))
    program = host.link_program(objects, tmp_path / "program")
    for case in sorted((tmp_path / "golden").iterdir()):
        given = (case / "input-00.bin").read_bytes()
        found = subprocess.run([str(program)], input=given, capture_output=True, check=True).stdout
        assert found == (case / "output-00.bin").read_bytes(), case.name


def test_image_of_the_package_runs_and_is_what_the_report_says(built: Build, tmp_path: Path) -> None:
    target = find_target("qemu-mps2-an386")
    if emulator_of(target) is None:
        pytest.skip("qemu-system-arm is not installed")
    with open_package(built.package) as package:
        (tmp_path / "image.elf").write_bytes(package.read("image/small_net.elf"))
        report = json.loads(package.read("build.json"))
    run = emulate(tmp_path / "image.elf", target)
    assert run.wrong_bytes == 0
    assert report["emulated"]["instructions"] == run.instructions
    assert report["ram_bytes"]["stack"] == run.stack_bytes
    assert report["flash_bytes"]["total"] == sum(v for k, v in report["flash_bytes"].items() if k != "total")
    assert len(report["emulated"]["operators"]) == 4
    assert report["peak"]["tensors"][0]["bytes"] > 0
    assert built.summary.mcu == report


def test_second_build_is_the_first(built: Build) -> None:
    folder = built.package.parent.parent
    again = build(request(folder, "qemu-mps2-an386"), silent)
    assert again.reused
    assert again.summary.mcu == built.summary.mcu


def test_core_without_a_board_gets_a_library_and_no_image(tmp_path: Path) -> None:
    made = build(request(tmp_path, "cortex-m0plus"), silent)
    manifest = load_package(made.package).manifest
    assert isinstance(manifest.runtime, CompiledCode)
    assert manifest.runtime.images == {}
    assert manifest.runtime.library in {entry.path for entry in manifest.files}


def test_linux_device_refuses_the_package(built: Build, tmp_path: Path) -> None:
    key = str(built.package.parent.parent / "key")
    environment = {**os.environ, "EDGEPACK_STATE_DIR": str(tmp_path / "state"), "EDGEPACK_KEY": key}
    command = [sys.executable, "-m", "edgepack", "deploy", str(built.package), "--device", "local"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == DeployError.exit_code, done.stderr
    assert "is C for cortex-m4" in done.stderr
