"""Facts, from a file tree like that of a Raspberry Pi 4 and from this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgepack.device_agent import process, sysfs, system
from edgepack.device_agent.sysfs import Sources
from edgepack.toolchain.deploy.facts import Facts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_agent.conftest import Agent


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "proc/device-tree/chosen/u-boot,version": "2024.01\0",
        "sys/class/dmi/id/bios_version": "1.2.3\n",
        "model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "cpuinfo": "Features\t: fp asimd crc32\nCPU part\t: 0xd08\n\nCPU part\t: 0xd03\n",
        "vcgencmd": "#!/bin/sh\necho Mar 17 2023 10:50:39\necho Copyright\necho version 82f8 clean\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    sources = Sources(tmp_path / "sys", tmp_path / "proc", (str(tmp_path / "vcgencmd"),))
    monkeypatch.setattr(system, "MACHINE", sources)
    return tmp_path


def test_the_first_core_names_the_processor(board: Path) -> None:
    fields = sysfs.fields(board / "cpuinfo")
    assert system._ARM_PARTS[fields["CPU part"]] == "Cortex-A72"
    assert fields["Features"].split() == ["fp", "asimd", "crc32"]


def test_small_files(board: Path) -> None:
    assert sysfs.text(board / "model") == "Raspberry Pi 4 Model B Rev 1.4"
    assert sysfs.text(board / "nothing") is None
    assert sysfs.text(board) is None, "a folder"
    assert sysfs.number(board / "model") is None
    assert sysfs.fields(board / "nothing") == {}
    assert sysfs.listing(board / "nothing", "*") == []


def test_numbers_in_names_are_numbers(tmp_path: Path) -> None:
    for name in ("cpu10", "cpu2", "cpu0"):
        (tmp_path / name).mkdir()
    assert [path.name for path in sysfs.listing(tmp_path, "cpu*")] == ["cpu0", "cpu2", "cpu10"]


def test_firmware_is_the_pi_s_or_the_boot_loader_s_or_the_bios_s(board: Path) -> None:
    tool = board / "vcgencmd"
    tool.chmod(0o755)
    assert system._firmware() == "Mar 17 2023 10:50:39, version 82f8 clean"
    tool.unlink()
    assert system._firmware() == "2024.01"
    (board / "proc/device-tree/chosen/u-boot,version").unlink()
    assert system._firmware() == "1.2.3"
    (board / "sys/class/dmi/id/bios_version").unlink()
    assert system._firmware() is None


def test_the_facts_are_what_the_host_reads(agent: Agent) -> None:
    facts = agent.ask("probe")["facts"]
    assert {"firmware", "microcode", "power_sensors", "governor", "clocks_hz"} <= set(facts)
    checked = Facts.model_validate(facts)
    assert checked.microcode == facts["microcode"]


def test_this_process_is_alive_and_a_note_of_another_start_is_not() -> None:
    import os

    note = process.identify(os.getpid())
    assert process.is_alive(note)
    assert not process.is_alive({**note, "start_ticks": 1})
    assert not process.is_alive({**note, "boot_id": "x"})
    assert not process.is_alive({})
