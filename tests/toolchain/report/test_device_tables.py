from __future__ import annotations

import io

from rich.console import Console

from edgepack.toolchain.deploy.facts import Facts
from edgepack.toolchain.deploy.health import Check, Finding, MeterCheck
from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.report.device_tables import check_card, device_table
from tests.toolchain.records import facts


def shown(part) -> str:
    console = Console(file=io.StringIO(), width=240, force_terminal=False)
    console.print(part)
    return console.file.getvalue()


def test_a_row_a_device() -> None:
    pi = Device(name="pi4", host="pi4.local", user="pi", port=2222, target="rpi4", groups=("desk", "arm"))
    text = shown(device_table([pi, Device(name="bare", host="10.0.0.2"), Device(name="local", kind="local")]))
    rows = {line.split()[0]: line for line in text.splitlines()[1:]}
    assert "pi@pi4.local:2222" in rows["pi4"] and "desk, arm" in rows["pi4"] and "rpi4" in rows["pi4"]
    assert "10.0.0.2" in rows["bare"] and "None" not in text
    assert "—" in rows["local"]


def card(*findings: Finding, installed: tuple[str, ...] = (), **changes: object) -> str:
    return shown(check_card(Check("pi", Facts.model_validate(facts(**changes)), installed, findings)))


def test_a_card_shows_the_facts() -> None:
    text = card(installed=("fashion 0123456789ab",))
    for expected in (
        "Raspberry Pi 4 Model B", "aarch64, kernel 6.1.0", "3.11.2 (64 bit)", "glibc 2.36",
        "4x Cortex-A72 asimd",
        "1.8 GHz", "cpu-thermal 48.2 °C", "fashion 0123456789ab", "ready",
    ):  # fmt: skip
        assert expected in text, expected


def test_what_is_unknown_is_a_dash_and_never_zero() -> None:
    unknown = {"kernel": None, "temperatures_c": None, "disk": {"free_bytes": None}, "memory": {}}
    text = card(**unknown, libc={"kind": None}, clocks_hz=None, governor=None)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    for name in ("free disk", "memory", "temperature", "C library", "clock"):
        assert lines[name].rstrip().endswith("—"), name
    assert "None" not in text


def test_a_device_that_lacks_something_is_not_ready() -> None:
    text = card(Finding("missing", "no ssh-keygen", "install it"), Finding("warning", "hot", "cool it"))
    assert "no ssh-keygen (install it)" in text and "hot (cool it)" in text
    assert "ready" not in text
    assert "ready" in card(Finding("warning", "hot", "cool it"))


def test_a_card_shows_a_meter_at_another_machine() -> None:
    parsed = Facts.model_validate(facts())

    def meter_row(meter: MeterCheck) -> str:
        text = shown(check_card(Check("pi", parsed, (), (), meter)))
        return next(line for line in text.splitlines() if line.startswith("power meter"))

    assert "ppk2, cabled to this machine: what it supplies" in meter_row(
        MeterCheck("ppk2", "host", "what it supplies")
    )
    assert "ppk2, cabled to desk: cannot be read" in meter_row(MeterCheck("ppk2", "desk", reason="no port"))
