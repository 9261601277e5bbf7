"""The user's devices: `lab.toml` -> `Lab`.

    known_hosts = "known_hosts"      # optional; beside lab.toml

    [devices.pi4]
    target = "rpi4"
    host = "pi4.local"
    groups = ["desk"]

Rules:
    * A key that is not known, or a value of another type, is an error that names the file and the key.
    * What `lab.toml` leaves out comes from `~/.ssh/config` (`ssh.py`), then from the defaults here.
    * The device `local`, the machine that edgepack runs on, exists without a `lab.toml`.
    * Relative paths in `lab.toml` are relative to the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from edgepack.targets.errors import nearest
from edgepack.toolchain.deploy.device_power import DevicePower
from edgepack.toolchain.errors import ProjectError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LAB_NAME = "lab.toml"
LOCAL_NAME = "local"

DeviceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
# A leading "-" would be read as an option by a program that gets the value as an argument.
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\[:][A-Za-z0-9_.:%\[\]-]{0,254}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,127}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Strict(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Device(_Strict):
    """A device, and how to reach it.

    Attributes:
        name: The name on the command line.
        kind: "ssh", or "local" for the machine that edgepack runs on.
        target: The kind of device, a name of `edgepack targets`; None where the user did not say.
        host: Address, name, or alias of `~/.ssh/config`; None for a local device.
        user: User to log in as; None for what `~/.ssh/config` says, or the user's own name.
        port: Port; None for what `~/.ssh/config` says, or 22.
        groups: Groups that the device belongs to.
        emulated: Whether it is emulated: its latencies are marked so on every record and in every table.
        python: Path of Python 3.9 or later on the device.
        work_dir: Where the agent keeps its files; a leading `~` is the home folder on the device.
        runtime: "auto" provisions a runtime from wheels; "system" uses the one that the device's Python has.
        identity_file: Private key; None for `~/.ssh/config`, the SSH agent and the usual files.
        connect_timeout_s: Seconds until a device that does not answer is given up.
        link_timeout_s: Seconds until a silent link counts as dead.
        answer_timeout_s: Seconds that the agent may be silent while it works on a request.
        power_cycle: A program and its arguments that switches the device off and on again; run on this
            machine, without a shell, where the device does not answer.
        power_cycle_wait_s: Seconds within which the device answers after that.
        power: Its power meter; None where the agent may choose one.
    """

    name: DeviceName
    kind: Literal["ssh", "local"] = "ssh"
    target: str | None = None
    host: HostName | None = None
    user: UserName | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    groups: tuple[DeviceName, ...] = ()
    emulated: bool = False
    python: str = Field(default="python3", min_length=1, max_length=4096)
    work_dir: str = Field(default="~/.edgepack", min_length=1, max_length=4096)
    runtime: Literal["auto", "system"] = "auto"
    identity_file: str | None = None
    connect_timeout_s: Seconds = 10.0
    link_timeout_s: Seconds = 4.0
    answer_timeout_s: Seconds = 120.0
    power_cycle: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=64)
    power_cycle_wait_s: Seconds = 90.0
    power: DevicePower | None = None

    @field_validator("groups", "power_cycle", mode="before")
    @classmethod
    def _accept_list(cls, value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
        return tuple(value) if isinstance(value, list) else value

    @field_validator(
        "connect_timeout_s", "link_timeout_s", "answer_timeout_s", "power_cycle_wait_s", mode="before"
    )
    @classmethod
    def _accept_whole_seconds(cls, value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("python", "work_dir")
    @classmethod
    def _check_path(cls, value: str) -> str:
        if not value.isprintable() or value.startswith("-"):
            message = "must be a path of printable characters"
            raise ValueError(message)
        return value

    @model_validator(mode="before")
    @classmethod
    def _fill_local(cls, value: Any) -> Any:  # noqa: ANN401 - checked by the fields
        """A local device runs this Python, and its files lie in edgepack's own state folder."""
        if not isinstance(value, dict) or value.get("kind") != "local":
            return value
        local = {"python": sys.executable, "work_dir": str(state_dir() / "local-device"), "runtime": "system"}
        return local | value

    @model_validator(mode="after")
    def _check_host(self) -> Device:
        if self.kind == "ssh" and self.host is None:
            message = "an ssh device needs 'host'"
            raise ValueError(message)
        if self.kind == "local" and any((self.host, self.user, self.port, self.identity_file)):
            message = "a local device has no 'host', 'user', 'port' or 'identity_file'"
            raise ValueError(message)
        return self


class Lab(_Strict):
    """All devices of the user.

    Attributes:
        path: The `lab.toml`; None where there is none.
        devices: The devices, in the order of the file; `local` last where the file does not name it.
        known_hosts: The lab's own file of host keys, beside the user's.
    """

    path: Path | None
    devices: tuple[Device, ...]
    known_hosts: Path

    def device(self, name: str) -> Device:
        """Return the device of a name.

        Raises:
            ProjectError: There is no such device.
        """
        for device in self.devices:
            if device.name == name:
                return device
        names = [device.name for device in self.devices]
        message = f"{self.source} has no device '{name}'.{nearest(name, names)}"
        raise ProjectError(
            message, remedy=f"Known devices: {', '.join(names)}. Add one with `edgepack devices add {name}`."
        )

    @property
    def source(self) -> str:
        """What to call the inventory in a message."""
        return str(self.path) if self.path else f"The inventory (no {LAB_NAME} found)"


def state_dir() -> Path:
    """Return the folder of edgepack's own state, which `EDGEPACK_STATE_DIR` moves."""
    named = os.environ.get("EDGEPACK_STATE_DIR")
    return Path(named).expanduser().absolute() if named else platformdirs.user_state_path("edgepack")


def find_lab() -> Path | None:
    """Return the user's `lab.toml`: `EDGEPACK_LAB`, this folder's, or the one of the user's configuration."""
    named = os.environ.get("EDGEPACK_LAB")
    if named:
        return Path(named).expanduser()
    places = (Path(LAB_NAME), platformdirs.user_config_path("edgepack") / LAB_NAME)
    return next((path.absolute() for path in places if path.is_file()), None)


def load_lab(path: Path | None = None) -> Lab:
    """Read an inventory.

    Args:
        path: The `lab.toml`; None for `find_lab()`. Where that finds none, the inventory is `local` alone.

    Raises:
        ProjectError: The file cannot be read, or a key of it is wrong.
    """
    path = path or find_lab()
    if path is None:
        return parse_lab(b"", None)
    try:
        data = path.read_bytes()
    except OSError as err:
        message = f"{path}: cannot be read ({err.strerror})."
        raise ProjectError(
            message, remedy="Name the inventory with `--lab PATH`, or write one with `edgepack init`."
        ) from err
    return parse_lab(data, path.absolute())


def parse_lab(data: bytes, path: Path | None) -> Lab:
    """Check the bytes of a `lab.toml`.

    Raises:
        ProjectError: The bytes are no inventory; names the file and the key.
    """
    where = str(path or LAB_NAME)
    try:
        value = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        message = f"{where}: not valid TOML ({err})."
        raise ProjectError(message, remedy=f"Correct {where} at the place named above.") from err
    _check_keys(value, {"devices", "known_hosts"}, where, "")
    tables = value.get("devices", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        message = f"{where}: 'devices' must hold one table a device."
        raise ProjectError(
            message, remedy='Write one table a device: [devices.pi4], then host = "pi4.local".'
        )
    devices = [make_device(name, table, where) for name, table in tables.items()]
    if LOCAL_NAME not in tables:
        devices.append(Device(name=LOCAL_NAME, kind="local"))
    _check_meters(devices, where)
    return Lab(path=path, devices=tuple(devices), known_hosts=_known_hosts_path(value, path, where))


def _check_meters(devices: list[Device], where: str) -> None:
    """Make sure that every power meter is cabled to a machine that exists."""
    for device in devices:
        places = {"device", "host", *(each.name for each in devices)} - {device.name}
        if device.power and device.power.at not in places:
            key, found = f"devices.{device.name}.power.at", device.power.at
            message = f"{where}: '{key}': no such place, found '{found}'.{nearest(found, sorted(places))}"
            remedy = 'Write "device", "host", or the name of the device that the meter is cabled to.'
            raise ProjectError(message, remedy=remedy)


def _known_hosts_path(value: dict[str, Any], path: Path | None, where: str) -> Path:
    """Return the lab's own file of host keys: of the environment, of the inventory, or the user's."""
    environment = os.environ.get("EDGEPACK_KNOWN_HOSTS")
    if environment:
        return Path(environment).expanduser().absolute()
    named = value.get("known_hosts")
    if named is None:
        return platformdirs.user_config_path("edgepack") / "known_hosts"
    if not isinstance(named, str) or not named:
        message = f"{where}: 'known_hosts' must be a path, found {named!r}."
        raise ProjectError(message, remedy='Write it as known_hosts = "known_hosts".')
    return (path.parent if path else Path.cwd()) / Path(named).expanduser()


def _check_keys(table: dict[str, Any], known: set[str], where: str, prefix: str) -> None:
    for key in table:
        if key not in known:
            message = f"{where}: unknown key '{prefix}{key}'.{nearest(key, known)}"
            raise ProjectError(message, remedy=f"Known keys: {', '.join(sorted(known))}.")


def make_device(name: str, table: dict[str, Any], where: str) -> Device:
    """Return the device of one table, or an error that names the key and what it should hold."""
    _check_keys(table, set(Device.model_fields) - {"name"}, where, f"devices.{name}.")
    if isinstance(table.get("identity_file"), str):
        table = table | {"identity_file": str(Path(where).parent / Path(table["identity_file"]).expanduser())}
    try:
        return Device.model_validate({"name": name, **table})
    except ValidationError as err:
        first = err.errors()[0]
        key = ".".join(["devices", name, *(str(part) for part in first["loc"] if part != "name")])
        expected = first.get("ctx", {}).get("expected", "")
        hint = nearest(
            str(first["input"]), [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
        )
        found = "" if isinstance(first["input"], dict) else f", found {first['input']!r}"
        message = f"{where}: '{key}': {first['msg'].removeprefix('Value error, ')}{found}.{hint}"
        raise ProjectError(message, remedy=f"Correct '{key}' in {where}.") from err


def select(
    lab: Lab, *, names: tuple[str, ...] = (), groups: tuple[str, ...] = (), everything: bool = False
) -> tuple[Device, ...]:
    """Return the devices that a command names, each once, in the order of the inventory.

    Args:
        lab: The inventory.
        names: Names of devices.
        groups: Names of groups.
        everything: All devices of the file; the built-in `local` only where the file names no other.

    Raises:
        ProjectError: No device, or no group, of a name; or nothing was selected.
    """
    chosen = {lab.device(name).name for name in names}
    known = sorted({group for device in lab.devices for group in device.groups})
    for group in groups:
        if group not in known:
            message = f"{lab.source} has no group '{group}'.{nearest(group, known)}"
            remedy = (
                f"Known groups: {', '.join(known)}." if known else 'Put devices in one: groups = ["desk"].'
            )
            raise ProjectError(message, remedy=remedy)
        chosen |= {device.name for device in lab.devices if group in device.groups}
    if everything:
        chosen |= {device.name for device in lab.devices if device.kind != "local"} or {LOCAL_NAME}
    if not chosen:
        message = "No device was named."
        raise ProjectError(message, remedy="Name one with `--device NAME`, or use `--group NAME` or `--all`.")
    return tuple(device for device in lab.devices if device.name in chosen)
