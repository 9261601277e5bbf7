"""Generated code as a firmware engineer uses it: built without a warning, linked, included."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgepack.converters.mcu.compile import c_identifier, compile_model
from edgepack.converters.mcu.compilers import WARNINGS, Compiler
from edgepack.converters.mcu.host_run import run_on_host
from edgepack.converters.mcu.sources import source_tree
from edgepack.converters.mcu.symbols import needed_kernels, plain_name
from tests.converters.mcu.cores import compiler_or_skip, pattern, small_model

MODELS = {"first": 1, "second": 2}
TWO_MODELS = """
#include <stdio.h>
#include <string.h>
#include "first.h"
#include "second.h"
static uint32_t arena_1[(FIRST_ARENA_BYTES + 3) / 4], arena_2[(SECOND_ARENA_BYTES + 3) / 4];
static uint32_t arena_3[(FIRST_ARENA_BYTES + 3) / 4];
int main(void) {
  for (int i = 0; i < FIRST_INPUT_0_SIZE; ++i) {
    first_input_0(arena_1)[i] = second_input_0(arena_2)[i] = (int8_t)((i * 31 + 7) % 256 - 128);
    first_input_0(arena_3)[i] = 0;
  }
  first_invoke(arena_1);
  first_invoke(arena_3); /* the same model on another arena changes nothing in the first */
  second_invoke(arena_2);
  fwrite(first_output_0(arena_1), 1, FIRST_OUTPUT_0_SIZE, stdout);
  fwrite(second_output_0(arena_2), 1, SECOND_OUTPUT_0_SIZE, stdout);
  return 0;
}
"""
CPP = """
#include "first.h"
#include "second.h"
int main() { return FIRST_ARENA_BYTES == 0 || first_input_0(nullptr) != nullptr; }
"""


# Zig builds its own start-up files for the host once, which takes a minute.
@pytest.fixture(params=["gcc", pytest.param("zig", marks=pytest.mark.slow)])
def host(request: pytest.FixtureRequest) -> Compiler:
    return compiler_or_skip(None, request.param)


def write(tree: dict[str, str], folder: Path) -> Path:
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def expected(seed: int, host: Compiler, folder: Path) -> bytes:
    code = compile_model(small_model(seed), name="alone")
    (outputs,) = run_on_host(code, host, [(pattern(8 * 8 * 4),)], folder)
    return outputs[0]


def test_two_models_in_one_program(host: Compiler, tmp_path: Path) -> None:
    """Each as a static library, without a warning; kernels that both need are there once."""
    libraries = []
    for name, seed in MODELS.items():
        folder = write(source_tree(compile_model(small_model(seed), name=name)), tmp_path / name)
        objects = host.compile(sorted((folder / "src").glob("*.c")), folder / "objects", *WARNINGS, "-Werror")
        libraries.append(host.archive(objects, folder / f"lib{name}.a"))
    (tmp_path / "main.c").write_text(TWO_MODELS)
    includes = [flag for name in MODELS for flag in ("-I", str(tmp_path / name / "src"))]
    objects = host.compile([tmp_path / "main.c"], tmp_path, *includes)
    program = host.link_program([*objects, *libraries], tmp_path / "both")
    found = subprocess.run([str(program)], capture_output=True, check=True).stdout
    assert found == b"".join(expected(seed, host, tmp_path / f"only-{seed}") for seed in MODELS.values())
    assert len(set(found)) > 2


def test_example_is_built_by_cmake_or_by_hand(host: Compiler, tmp_path: Path) -> None:
    folder = write(source_tree(compile_model(small_model(), name="first")), tmp_path)
    sources = [*sorted((folder / "src").glob("*.c")), folder / "examples/main.c"]
    objects = host.compile(sources, tmp_path / "objects", *WARNINGS, "-Werror", "-I", str(folder / "src"))
    subprocess.run([str(host.link_program(objects, tmp_path / "example"))], check=True)


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_headers_are_included_from_cpp(tmp_path: Path) -> None:
    for name, seed in MODELS.items():
        write(source_tree(compile_model(small_model(seed), name=name)), tmp_path / name)
    (tmp_path / "main.cpp").write_text(CPP)
    includes = [flag for name in MODELS for flag in ("-I", str(tmp_path / name / "src"))]
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", *includes]
    subprocess.run([*command, str(tmp_path / "main.cpp")], check=True)


def test_same_model_gives_same_bytes_and_no_time_or_path() -> None:
    first, second = (source_tree(compile_model(small_model(), name="m")) for _ in range(2))
    assert first == second
    assert not any(str(Path.home()) in text or "/tmp" in text for text in first.values())


def test_symbols_change_with_a_kernel_s_text_only() -> None:
    """Two models share a kernel of one content; another content has another symbol."""
    headers = [compile_model(small_model(seed), name="m").files["ep_symbols.h"] for seed in (1, 2)]
    assert headers[0] == headers[1]
    names = [line.split()[1:] for line in headers[0].splitlines() if line.startswith("#define ep_")]
    assert names
    assert all(plain_name(symbol) == name != symbol for name, symbol in names)


def test_a_kernel_brings_the_kernels_that_it_calls(tmp_path: Path) -> None:
    (tmp_path / "ep_a.c").write_text("void ep_a(void) { ep_b(); ep_clamp(); }")
    (tmp_path / "ep_b.c").write_text("void ep_b(void) { }")
    assert list(needed_kernels(["ep_a"], tmp_path)) == ["ep_a", "ep_b"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("KWS.v2", "kws_v2"), ("1st-model", "model_1st_model"), ("x" * 80, "x" * 63), ("_a", "model__a")],
)
def test_c_identifier(name: str, found: str) -> None:
    assert c_identifier(name) == found


def test_names_of_tensors_cannot_leave_their_comment() -> None:
    from tests.converters.mcu.models import model_of, spec

    evil = 'x"*/ int y; /*\\\n??/'
    values = [
        spec(1, 4, scale=0.1, name=evil),
        spec(1, 4, scale=0.1, name="b"),
        spec(1, 4, scale=0.1, name=evil),
    ]
    header = compile_model(model_of("ADD", values[:2], values[2:]), name="m").files["m.h"]
    assert "int y; /*" not in header.replace("int y; /_", "")
    assert evil not in header
