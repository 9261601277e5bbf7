from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.toolchain.deploy.inventory import Device, find_lab, load_lab, parse_lab, select
from edgepack.toolchain.deploy.inventory_edit import add_device, remove_device
from edgepack.toolchain.errors import ProjectError

LAB = """\
# My lab.
known_hosts = "hosts"

[devices.pi4]   # on the desk
target = "rpi4"
host = "pi4.local"
user = "pi"
port = 2222
groups = ["desk", "arm"]
connect_timeout_s = 5

# The one in the cellar.
# It is slow.
[devices.cellar]
host = "10.0.0.7"
groups = ["arm"]
python = "/opt/py/bin/python3"

[devices.build]
kind = "local"
"""


@pytest.fixture
def lab_file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(LAB)
    return path


def test_reads_devices(lab_file: Path, tmp_path: Path) -> None:
    lab = load_lab(lab_file)
    assert [device.name for device in lab.devices] == ["pi4", "cellar", "build", "local"]
    pi4 = lab.device("pi4")
    assert (pi4.host, pi4.user, pi4.port, pi4.groups) == ("pi4.local", "pi", 2222, ("desk", "arm"))
    assert (pi4.kind, pi4.python, pi4.work_dir, pi4.runtime) == ("ssh", "python3", "~/.edgepack", "auto")
    assert pi4.connect_timeout_s == 5.0
    assert lab.known_hosts == tmp_path / "hosts"


def test_local_device_exists_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_lab() is None
    local = load_lab().device("local")
    assert (local.kind, local.python, local.runtime) == ("local", sys.executable, "system")
    assert local.work_dir == str(tmp_path / "state" / "local-device")


def test_finds_the_file_of_the_environment_first(
    lab_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("lab.toml").write_text("")
    assert find_lab() == tmp_path / "here" / "lab.toml"
    monkeypatch.setenv("EDGEPACK_LAB", str(lab_file))
    assert find_lab() == lab_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("devcies = 1", ["unknown key 'devcies'", "'devices'"]),
        ("[devices.pi]\nhots = 'x'", ["'devices.pi.hots'", "'host'"]),
        ("[devices.pi]\nkind = 'shh'\nhost = 'x'", ["'devices.pi.kind'", "'shh'", "Did you mean 'ssh'"]),
        ("[devices.pi]\nhost = 'x'\nport = 70000", ["'devices.pi.port'", "70000"]),
        ("[devices.pi]\nhost = 'x'\nport = '22'", ["'devices.pi.port'", "'22'"]),
        ("[devices.pi]\nhost = 'x'\ngroups = 'desk'", ["devices.pi.groups"]),
        ("[devices.pi]\nuser = 'pi'", ["'devices.pi'", "needs 'host'"]),
        ("[devices.pi]\nkind = 'local'\nhost = 'x'", ["'devices.pi'", "local device has no 'host'"]),
        ("[devices.pi]\nhost = '-oProxyCommand=x'", ["'devices.pi.host'"]),
        ("[devices.pi]\nhost = 'x'\nuser = '-x'", ["'devices.pi.user'"]),
        ("[devices.pi]\nhost = 'x'\nwork_dir = \"a\\nb\"", ["'devices.pi.work_dir'"]),
        ("[devices.pi]\nhost = 'x'\nruntime = 'sytem'", ["Did you mean 'system'"]),
        ("[devices.'my pi']\nhost = 'x'", ["devices.my pi"]),
        ("devices = 3", ["'devices' must hold one table a device"]),
        ("known_hosts = 3", ["'known_hosts' must be a path"]),
        ("[devices.pi", ["not valid TOML"]),
    ],
)
def test_wrong_keys_name_file_key_and_nearest(text: str, expected: list[str]) -> None:
    with pytest.raises(ProjectError) as caught:
        parse_lab(text.encode(), Path("/x/lab.toml"))
    assert "/x/lab.toml" in caught.value.message
    for part in expected:
        assert part in caught.value.message
    assert caught.value.remedy


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        load_lab(tmp_path / "none.toml")
    with pytest.raises(ProjectError, match="not valid TOML"):
        parse_lab(b"\xff\xfe", None)


def test_select(lab_file: Path) -> None:
    lab = load_lab(lab_file)

    def names(**how: object) -> list[str]:
        return [device.name for device in select(lab, **how)]  # type: ignore[arg-type]

    assert names(names=("cellar", "pi4", "pi4")) == ["pi4", "cellar"]
    assert names(groups=("arm",)) == ["pi4", "cellar"]
    assert names(names=("local",), groups=("desk",)) == ["pi4", "local"]
    assert names(everything=True) == ["pi4", "cellar"]
    with pytest.raises(ProjectError, match=r"no device 'pi5'. Did you mean 'pi4'"):
        names(names=("pi5",))
    with pytest.raises(ProjectError, match=r"no group 'dask'. Did you mean 'desk'"):
        names(groups=("dask",))
    with pytest.raises(ProjectError, match="No device was named"):
        names()


def test_everything_is_local_where_there_is_nothing_else() -> None:
    assert [device.name for device in select(parse_lab(b"", None), everything=True)] == ["local"]


def test_adding_keeps_the_users_text(lab_file: Path) -> None:
    device = Device(name="zero", host="10.0.0.9", user="pi", groups=("arm",), runtime="system")
    lab = add_device(lab_file, device)
    assert lab.device("zero") == device == load_lab(lab_file).device("zero")
    assert lab_file.read_text().startswith(LAB)
    with pytest.raises(ProjectError, match="already has a device 'zero'"):
        add_device(lab_file, device)


def test_adding_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lab.toml"
    add_device(path, Device(name="pi", host="pi.local"))
    assert path.read_text() == '[devices.pi]\nhost = "pi.local"\n'


def test_local_may_be_written_over(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    mine = Device(name="local", kind="local", work_dir="/tmp/mine")
    assert add_device(path, mine).device("local") == mine
    assert path.read_text() == '[devices.local]\nkind = "local"\nwork_dir = "/tmp/mine"\n'
    with pytest.raises(ProjectError, match="already"):
        add_device(path, mine)
    assert remove_device(path, "local").device("local").work_dir != "/tmp/mine"


def test_removing_takes_the_table_and_leaves_the_next_ones_comment(lab_file: Path) -> None:
    remove_device(lab_file, "pi4")
    text = lab_file.read_text()
    assert "pi4" not in text
    assert "# My lab." in text
    assert "# The one in the cellar.\n# It is slow.\n[devices.cellar]" in text
    remove_device(lab_file, "build")
    assert lab_file.read_text().endswith('python = "/opt/py/bin/python3"\n\n')
    with pytest.raises(ProjectError, match="no device 'pi4'"):
        remove_device(lab_file, "pi4")


def test_a_device_written_otherwise_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    text = 'devices.pi = {host = "x"}\n'
    path.write_text(text)
    with pytest.raises(ProjectError, match="not written as a table"):
        remove_device(path, "pi")
    assert path.read_text() == text


def test_a_bracket_inside_a_value_stops_the_removal(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    text = '[devices.a]\nhost = "x"\ngroups = [\n"g",\n]\n[devices.b]\nhost = "y"\n'
    path.write_text(text)
    lab = remove_device(path, "a")
    assert [device.name for device in lab.devices] == ["b", "local"]


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True)
paths = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)

ports = st.integers(1, 65535)


@settings(deadline=None, max_examples=50)
@given(
    devices=st.lists(
        st.builds(Device, name=names, host=names, port=st.none() | ports, work_dir=paths.map("/{}".format)),
        max_size=5, unique_by=lambda device: device.name,
    )
)  # fmt: skip
def test_what_was_added_is_read_and_removed_again(
    devices: list[Device], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lab") / "lab.toml"
    path.write_text("# kept\n")
    for device in devices:
        add_device(path, device)
    assert {device.name: device for device in load_lab(path).devices if device.kind == "ssh"} == {
        device.name: device for device in devices
    }
    for device in devices:
        remove_device(path, device.name)
    assert path.read_text().strip() == "# kept"


POWER = """\
[devices.pi4]
host = "pi4.local"
power_cycle = ["relay", "--port", "3"]
power_cycle_wait_s = 45

[devices.pi4.power]
sensor = "ina226"
shunt_ohm = 0.01
bus = 1

[devices.desk]
host = "desk.local"

[devices.desk.power]
sensor = "ppk2"
at = "host"
port = "/dev/ttyACM0"
"""


def test_reads_power_and_power_cycle() -> None:
    lab = parse_lab(POWER.encode(), None)
    pi4, desk = lab.device("pi4"), lab.device("desk")
    assert (pi4.power_cycle, pi4.power_cycle_wait_s) == (("relay", "--port", "3"), 45.0)
    assert pi4.power is not None
    assert (pi4.power.sensor, pi4.power.at) == ("ina226", "device")
    assert pi4.power.settings == {"shunt_ohm": 0.01, "bus": 1}
    assert desk.power is not None
    assert (desk.power.at, desk.power.settings) == ("host", {"port": "/dev/ttyACM0"})
    assert "ttyACM0" not in repr(desk), "settings can hold passwords"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('sensor = "ina226"\n', ""), r"devices\.pi4\.power\.sensor"),
        (('at = "host"', 'at = "hosts"'), r"devices\.desk\.power\.at.*nearest|host"),
        (("bus = 1", "bus = { a = 1 }"), r"devices\.pi4\.power\.settings\.bus"),
        (('["relay", "--port", "3"]', '"relay --port 3"'), r"devices\.pi4\.power_cycle"),
        (('["relay", "--port", "3"]', "[]"), r"devices\.pi4\.power_cycle"),
    ],
)
def test_wrong_power_names_the_key(change: tuple[str, str], expected: str) -> None:
    text = POWER.replace(*change)
    assert text != POWER
    with pytest.raises(ProjectError, match=expected):
        parse_lab(text.encode(), None)


def test_a_device_is_removed_with_its_power_table(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(POWER)
    lab = remove_device(path, "pi4")
    assert [device.name for device in lab.devices] == ["desk", "local"]
    assert "pi4" not in path.read_text()
    assert lab.device("desk").power is not None
