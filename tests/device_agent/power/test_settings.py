from __future__ import annotations

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power.settings import Settings, parse


@pytest.mark.parametrize(
    ("raw", "settings"),
    [
        (None, Settings()),
        ({}, Settings()),
        ({"accuracy": 0.02}, Settings(accuracy=0.02)),
        ({"kind": "shelly", "host": "192.168.1.5"}, Settings("shelly", host="192.168.1.5")),
        (
            {"kind": "tasmota", "host": "plug-3.lab.example", "port": 8080, "channel": 1},
            Settings("tasmota", host="plug-3.lab.example", port=8080, channel=1),
        ),
        ({"kind": "shelly", "host": "fe80::1"}, Settings("shelly", host="fe80::1")),
        ({"command": ["meter", "--fast"]}, Settings("command", command=("meter", "--fast"))),
        (
            {"kind": "ina226", "bus": 1, "address": "0x41", "shunt_ohm": 0.1, "accuracy": 0.01},
            Settings("ina226", bus=1, address=0x41, shunt_ohm=0.1, accuracy=0.01),
        ),
        ({"kind": "ina260", "bus": 0}, Settings("ina260", bus=0)),
        (
            {"kind": "ppk2", "port": "/dev/ttyACM0", "source_mv": 3300, "mode": "source"},
            Settings("ppk2", port="/dev/ttyACM0", source_mv=3300, mode="source"),
        ),
        (
            {"kind": "lpm01a", "port": "/dev/serial/by-id/usb-ST_0", "source_mv": 1800, "rate_hz": 10000},
            Settings("lpm01a", port="/dev/serial/by-id/usb-ST_0", source_mv=1800, rate_hz=10000),
        ),
        ({"kind": "joulescope", "serial": "001234"}, Settings("joulescope", serial="001234")),
    ],
)
def test_what_is_taken(raw, settings) -> None:
    assert parse(raw) == settings


@pytest.mark.parametrize("wanted", ["shelly", "plug:shelly"])
def test_the_sensor_s_name_can_say_the_kind(wanted) -> None:
    assert parse({"host": "x"}, wanted) == Settings("shelly", host="x")


@pytest.mark.parametrize(
    ("raw", "key", "words"),
    [
        (["shelly"], "power", "a table"),
        ({"host": "x"}, "kind", "nothing found"),
        ({"shunt_ohm": 0.01}, "kind", "nothing found"),
        ({"kind": "shely", "host": "x"}, "kind", "Did you mean 'shelly'?"),
        ({"kind": "shelly"}, "host", "shelly needs it"),
        ({"kind": "shelly", "host": "x", "hots": 1}, "hots", "Did you mean 'host'?"),
        ({"kind": "shelly", "host": "http://x/"}, "host", "without scheme"),
        ({"kind": "shelly", "host": "x y"}, "host", "without scheme"),
        ({"kind": "shelly", "host": "x@evil"}, "host", "without scheme"),
        ({"kind": "shelly", "host": "a" * 300}, "host", "without scheme"),
        ({"kind": "shelly", "host": "x", "port": 0}, "port", "from 1 to 65535"),
        ({"kind": "shelly", "host": "x", "port": "/dev/ttyACM0"}, "port", "from 1 to 65535"),
        ({"kind": "shelly", "host": "x", "channel": True}, "channel", "from 0 to 15"),
        ({"kind": "command", "command": "meter --fast"}, "command", "a list"),
        ({"kind": "command", "command": []}, "command", "a list"),
        ({"kind": "command", "command": ["a", 1]}, "command", "a list"),
        ({"kind": "command", "command": ["a"] * 65}, "command", "a list"),
        ({"kind": "ina226", "bus": 1}, "shunt_ohm", "ina226 needs it"),
        ({"kind": "ina226", "bus": 1, "shunt_ohm": 0}, "shunt_ohm", "from 1e-06 to 100"),
        ({"kind": "ina226", "bus": 1, "shunt_ohm": float("nan")}, "shunt_ohm", "from 1e-06 to 100"),
        ({"kind": "ina226", "bus": 1, "shunt_ohm": 1, "address": "0x20"}, "address", "from 64 to 79"),
        ({"kind": "ina260", "bus": 1, "shunt_ohm": 1}, "shunt_ohm", "ina260 has no such setting"),
        ({"kind": "ina260", "bus": "1"}, "bus", "from 0 to 255"),
        ({"kind": "ppk2", "port": "/etc/passwd", "source_mv": 3300}, "port", "below /dev"),
        ({"kind": "ppk2", "port": "/dev/../etc/passwd", "source_mv": 3300}, "port", "below /dev"),
        ({"kind": "ppk2", "port": "/dev/ttyACM0", "source_mv": 5001}, "source_mv", "from 800 to 5000"),
        ({"kind": "ppk2", "port": "/dev/ttyACM0"}, "source_mv", "ppk2 needs it"),
        (
            {"kind": "ppk2", "port": "/dev/ttyACM0", "source_mv": 3300, "mode": "amp"},
            "mode",
            "ampere, source",
        ),
        ({"kind": "lpm01a", "port": "/dev/ttyACM0", "source_mv": 5000}, "source_mv", "from 1800 to 3300"),
        (
            {"kind": "lpm01a", "port": "/dev/ttyACM0", "source_mv": 3300, "rate_hz": 3},
            "rate_hz",
            "one of 1, 2",
        ),
        ({"kind": "joulescope", "serial": "../x"}, "serial", "letters and digits"),
        ({"kind": "joulescope", "accuracy": 2}, "accuracy", "from 0 to 0.5"),
    ],
)
def test_what_is_refused_names_the_key(raw, key, words) -> None:
    with pytest.raises(AgentError) as caught:
        parse(raw)
    assert caught.value.code == "bad_request"
    assert f"power setting '{key}'" in caught.value.message
    assert words in caught.value.message
    assert f"`{key}`" in caught.value.remedy
