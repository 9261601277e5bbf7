from __future__ import annotations

import os

import pytest

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab import commands
from edgepack.toolchain.lab.commands import find_program, require_programs, require_root, run
from edgepack.toolchain.lab.errors import MissingProgramError


def test_missing_programs_name_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(commands, "_SYSTEM_FOLDERS", "/nowhere")
    with pytest.raises(MissingProgramError) as caught:
        require_programs("`edgepack lab up rpi64`", commands.MACHINE_PROGRAMS)
    assert "qemu-system-aarch64" in caught.value.message
    assert caught.value.remedy.endswith("openssh-client qemu-system-arm qemu-utils")


def test_every_program_has_a_package() -> None:
    for names in (commands.BUILD_PROGRAMS, commands.MACHINE_PROGRAMS, commands.FLEET_PROGRAMS):
        assert set(names) <= set(commands._PACKAGES)


def test_programs_of_root_are_found_without_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program("sh") is None
    assert find_program("ldconfig") in ("/usr/sbin/ldconfig", "/sbin/ldconfig")


@pytest.mark.skipif(os.geteuid() == 0, reason="this is root")
def test_root_is_asked_for() -> None:
    with pytest.raises(MissingProgramError, match="needs root"):
        require_root("`edgepack lab up fleet`")


def test_failing_program_is_told_with_its_words() -> None:
    assert run(["echo", "hello"], what="Greeting") == "hello\n"
    with pytest.raises(LabError, match="Greeting: `sh` failed: no such luck") as caught:
        run(["sh", "-c", "echo no such luck >&2; exit 3"], what="Greeting")
    assert "Try it by hand" in caught.value.remedy
    with pytest.raises(LabError):
        run(["/nowhere/program"], what="Nothing")
