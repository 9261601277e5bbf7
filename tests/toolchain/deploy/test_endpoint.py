from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.deploy.endpoint import Endpoint, endpoint_of
from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.errors import ProjectError

if TYPE_CHECKING:
    from pathlib import Path


def resolve(options: dict[str, dict[str, Any]], **fields: Any) -> Endpoint:
    device = Device.model_validate({"name": "pi", "host": "pi", **fields})
    return endpoint_of(device, lambda host: options.get(host, {"hostname": host}))


def test_defaults(monkeypatch: pytest.MonkeyPatch, own_environment: Path) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    found = resolve({})
    assert (found.host, found.port, found.user, found.known_as) == ("pi", 22, "ann", "pi")
    assert found.usual_keys[0] == own_environment / ".ssh" / "id_ed25519"
    assert found.known_hosts[0] == own_environment / ".ssh" / "known_hosts"
    assert str(found) == "ann@pi:22"


def test_config_fills_what_the_inventory_leaves_out(own_environment: Path) -> None:
    options = {
        "pi": {
            "hostname": "10.0.0.4",
            "user": "root",
            "port": "2200",
            "identityfile": ["~/.ssh/pi"],
            "identitiesonly": "yes",
        }
    }
    found = resolve(options)
    assert (found.host, found.port, found.user) == ("10.0.0.4", 2200, "root")
    assert found.known_as == "[10.0.0.4]:2200"
    assert found.named_keys == (own_environment / ".ssh" / "pi",)
    assert found.usual_keys == ()
    own = resolve(options, user="pi", port=22, identity_file="/k")
    assert (own.user, own.port, own.known_as, str(own.named_keys[0])) == ("pi", 22, "10.0.0.4", "/k")


def test_names_of_host_keys(tmp_path: Path) -> None:
    options = {
        "pi": {"hostname": "h", "hostkeyalias": "alias", "userknownhostsfile": f"{tmp_path / 'a'} none"}
    }
    found = resolve(options)
    assert found.known_as == "alias"
    assert found.known_hosts[0] == tmp_path / "a"
    assert len(found.known_hosts) == 2


@pytest.mark.parametrize(
    ("jump", "hops"),
    [
        ("gate", [("gate.example", 22, "gatekeeper")]),
        ("ann@gate:2022", [("gate.example", 2022, "ann")]),
        ("gate,bob@inner", [("gate.example", 22, "gatekeeper"), ("inner", 22, "bob")]),
        ("bob@[fe80::1]:2022", [("fe80::1", 2022, "bob")]),
        ("ssh://bob@inner:23", [("inner", 23, "bob")]),
        ("none", []),
    ],
)
def test_jumps(jump: str, hops: list[tuple[str, int, str]]) -> None:
    options = {
        "pi": {"hostname": "pi", "proxyjump": jump},
        "gate": {"hostname": "gate.example", "user": "gatekeeper"},
    }
    assert [(hop.host, hop.port, hop.user) for hop in resolve(options).jumps] == hops


def test_jumps_in_a_circle_and_odd_ports() -> None:
    with pytest.raises(ProjectError, match="circle"):
        resolve({"pi": {"proxyjump": "pi"}})
    with pytest.raises(ProjectError, match="port of 'pi' is 'x'"):
        resolve({"pi": {"port": "x"}})
