from __future__ import annotations

from pathlib import Path

import pytest

from edgepack.toolchain.deploy.inventory import load_lab
from edgepack.toolchain.deploy.known_hosts import find
from edgepack.toolchain.errors import LabError, ProjectError
from edgepack.toolchain.lab import registration
from edgepack.toolchain.lab.process import Process
from edgepack.toolchain.lab.state import EmulatedDevice, find_device, load_devices, make_key


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEPACK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("EDGEPACK_KNOWN_HOSTS", str(tmp_path / "known_hosts"))
    return tmp_path


def make(name: str, place: Path) -> EmulatedDevice:
    inventories = (str(place / "lab.toml"),)
    device = EmulatedDevice(name, name.split("-", maxsplit=1)[0], "rpi4", "127.0.0.1", 2222, inventories, 1.5)
    device.save()
    make_key(device.folder / "host_key", name)
    return device


def test_note_is_read_back(place: Path) -> None:
    device = make("rpi64-1", place)
    assert not device.is_running
    started = device.with_process(Process(1, 2, "another boot"))
    assert find_device("rpi64-1") == started and not started.is_running
    assert find_device("rpi64-2") is None
    make("rpi64-10", place)
    make("rpi64-2", place)
    assert [each.name for each in load_devices()] == ["rpi64-1", "rpi64-2", "rpi64-10"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', '{"process": 3, "inventories": []}'])
def test_damaged_note_is_told(place: Path, text: str) -> None:
    device = make("rpi64-1", place)
    (device.folder / "device.json").write_text(text)
    with pytest.raises(LabError, match="not a note"):
        load_devices()


def test_device_enters_and_leaves_the_inventory(place: Path) -> None:
    path = place / "lab.toml"
    path.write_text('# mine\n[devices.desk]\nhost = "desk.local"\n')
    device = make("rpi64-1", place)
    registration.register(device, path)
    registration.register(device, path)  # the same again changes nothing
    lab = load_lab(path)
    entry = lab.device("rpi64-1")
    assert (entry.emulated, entry.groups, entry.target) == (True, ("lab", "rpi64"), "rpi4")
    [known] = find("[127.0.0.1]:2222", [lab.known_hosts])
    assert known.key == device.host_key
    registration.unregister(device)
    assert path.read_text() == '# mine\n[devices.desk]\nhost = "desk.local"\n\n'
    assert find("[127.0.0.1]:2222", [lab.known_hosts]) == []


def test_device_of_the_user_is_left_alone(place: Path) -> None:
    path = place / "lab.toml"
    text = '[devices.rpi64-1]\nhost = "mine.local"\n'
    path.write_text(text)
    device = make("rpi64-1", place)
    with pytest.raises(ProjectError, match="not an emulated one"):
        registration.register(device, path)
    registration.unregister(device)
    assert path.read_text() == text
