"""Light hosts as a user brings them up: reached, used, cut off, switched off, and gone without a trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.lab.namespaces import BRIDGE, Namespace
from edgepack.toolchain.lab.network import bridge_subnet
from edgepack.toolchain.lab.state import load_devices
from tests.namespaces import needs_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Edgepack = Callable[..., Any]

pytestmark = [
    needs_namespaces,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        bridge_subnet(BRIDGE) is not None, reason="this machine runs a fleet: edgepack lab down"
    ),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE_DIR", "KNOWN_HOSTS", "KEY", "LAB"):
            patch.setenv(f"EDGEPACK_{name}", str(folder / name.lower()))
        yield folder


@pytest.fixture(scope="module")
def edgepack(place: Path) -> Iterator[Edgepack]:
    def call(*arguments: str, status: int = 0) -> Any:
        command = [sys.executable, "-m", "edgepack", *arguments, "--json"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    call("keys", "--create", "--key", str(place / "key"))
    yield call
    call("lab", "down")


@pytest.fixture(scope="module")
def fleet(edgepack: Edgepack) -> dict[str, Any]:
    return dict(edgepack("lab", "up", "fleet", "--size", "3"))


def test_fleet_is_up_registered_and_trusting(fleet: dict[str, Any], edgepack: Edgepack, place: Path) -> None:
    assert [each["name"] for each in fleet["devices"]] == ["fleet-1", "fleet-2", "fleet-3"]
    assert fleet["trusts_your_key"] is True
    checked = edgepack("devices", "check", "--group", "fleet")["devices"]
    assert [each["facts"]["hostname"] for each in checked] == ["fleet-1", "fleet-2", "fleet-3"]
    assert not [f for each in checked for f in each["findings"] if f["level"] == "missing"]
    assert all((place / f"state_dir/lab/fleet-{number}/work/trust").is_dir() for number in (1, 2, 3))


def test_up_again_leaves_them_as_they_are(fleet: dict[str, Any], edgepack: Edgepack) -> None:
    before = [each.process for each in load_devices()]
    again = edgepack("lab", "up", "fleet", "--size", "3")
    assert all(each["was_up"] for each in again["devices"])
    assert [each.process for each in load_devices()] == before


def test_device_that_was_switched_off_comes_back(fleet: dict[str, Any], edgepack: Edgepack) -> None:
    victim = load_devices()[1]
    Namespace(victim).stop()
    listed = edgepack("lab", "list")
    assert [each["running"] for each in listed] == [True, False, True]
    assert edgepack("devices", "check", "--device", "fleet-2", status=8)["failures"]
    again = edgepack("lab", "up", "fleet", "--size", "3")
    assert [each["was_up"] for each in again["devices"]] == [True, False, True]


def test_power_cut_ends_everything_that_ran_there(fleet: dict[str, Any]) -> None:
    device = Namespace(load_devices()[2])
    inside = ["ip", "netns", "exec", device.namespace, "true"]
    assert subprocess.run(inside).returncode == 0
    assert device.device.process is not None
    [first] = (
        Path(f"/proc/{device.device.process.pid}/task/{device.device.process.pid}/children")
        .read_text()
        .split()
    )
    argv = ["nsenter", "--target", first, "--pid", "--mount", "sleep", "300"]
    with subprocess.Popen(argv) as job:
        device.power_cut()
        assert job.wait(20) != 0
    assert load_devices()[2].is_running


def test_cable_is_pulled_and_plugged_in(fleet: dict[str, Any], edgepack: Edgepack) -> None:
    device = Namespace(load_devices()[0])
    device.link(up=False)
    [failure] = edgepack("devices", "check", "--device", "fleet-1", status=8)["failures"]
    assert failure["kind"] == "NetworkError"
    device.link(up=True)
    assert edgepack("devices", "check", "--device", "fleet-1")["failures"] == []


def test_down_leaves_no_trace(fleet: dict[str, Any], edgepack: Edgepack, place: Path) -> None:
    processes = [each.process for each in load_devices() if each.process]
    assert edgepack("lab", "down", "fleet-3")["removed"] == ["fleet-3"]
    assert "fleet-3" not in (place / "lab").read_text()
    assert edgepack("lab", "down", "nobody", status=12)["error"]["kind"] == "LabError"
    assert edgepack("lab", "down")["removed"] == ["fleet-1", "fleet-2"]
    assert len(processes) == 3 and not any(process.is_alive for process in processes)
    assert "devices" not in (place / "lab").read_text()
    assert (place / "known_hosts").read_text() == ""
    assert bridge_subnet(BRIDGE) is None
    assert not list(Path("/run/netns").glob("eplab*"))
    assert edgepack("lab", "list") == []
