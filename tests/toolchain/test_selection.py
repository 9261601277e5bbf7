"""How a call measures: flags over the project over the rules, and quick where it is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.deploy.device_power import DevicePower
from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.errors import MeasurementError, ProjectError
from edgepack.toolchain.measure.job import BenchSpec, spec_fields
from edgepack.toolchain.selection import bench_settings, select_fleet

if TYPE_CHECKING:
    from pathlib import Path


def spec(tmp_path: Path, table: str = "", **given: Any) -> BenchSpec:
    path = tmp_path / "edgepack.toml"
    path.write_text(f"[bench]\n{table}\n")
    return bench_settings(project=path, **given).spec


def test_the_rules_are_the_default(tmp_path: Path) -> None:
    full = spec(tmp_path)
    assert (full.windows, full.min_seconds, full.min_runs, full.quick) == (5, 10.0, 10, False)
    assert full == BenchSpec(), "the two tables of defaults agree"


def test_quick_shortens_what_nobody_has_set(tmp_path: Path) -> None:
    quick = spec(tmp_path, "windows = 3", quick=True)
    assert (quick.windows, quick.min_seconds, quick.warmup_max_seconds, quick.quick) == (3, 0.3, 1.0, True)
    assert spec(tmp_path, "quick = true", min_seconds=2.0).min_seconds == 2.0
    assert spec(tmp_path, "quick = true", quick=False) == BenchSpec(), "--full wins over the project"


@pytest.mark.parametrize("given", [{"windows": 4}, {"min_seconds": 9.9}, {"min_runs": 9}])
def test_windows_below_the_rules_are_marked(tmp_path: Path, given: dict[str, Any]) -> None:
    assert spec(tmp_path, **given).quick is True


def test_a_wrong_value_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="delegates"):
        spec(tmp_path, delegates=("gpu",))


def test_estimate() -> None:
    assert BenchSpec().configurations == 12
    assert 600 <= BenchSpec().estimate_s < 720
    assert BenchSpec(delegates=("xnnpack", "none")).configurations == 24


def test_all_devices_where_nobody_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lab = tmp_path / "lab.toml"
    lab.write_text('[devices.a]\nhost = "a"\n[devices.b]\nhost = "b"\n')
    assert [device.name for device in select_fleet(lab=lab, or_all=True).devices] == ["a", "b"]
    with pytest.raises(ProjectError, match="No device was named"):
        select_fleet(lab=lab)
    (tmp_path / "edgepack.toml").write_text('[deploy]\ndevices = ["b"]\n')
    assert [device.name for device in select_fleet(lab=lab, or_all=True).devices] == ["b"]


def test_the_power_meter_of_the_device_goes_with_the_spec() -> None:
    bare = Device(name="pi", host="pi")
    power = DevicePower.model_validate({"sensor": "ina226", "shunt_ohm": 0.01})
    metered = bare.model_copy(update={"power": power})
    assert spec_fields(BenchSpec(), bare)["power"] == "auto"
    fields = spec_fields(BenchSpec(), metered)
    assert (fields["power"], fields["power_settings"]) == ("ina226", {"shunt_ohm": 0.01})
    assert "power_settings" in spec_fields(BenchSpec(power="ina226"), metered)
    for other in ("none", "rapl"):
        fields = spec_fields(BenchSpec(power=other), metered)
        assert fields["power"] == other
        assert not fields.get("power_settings"), "they belong to another sensor"


def test_a_meter_of_another_machine_is_left_to_the_host() -> None:
    power = DevicePower.model_validate({"sensor": "ppk2", "at": "host", "port": "/dev/ttyACM0"})
    device = Device(name="pi", host="pi", power=power)
    for wanted in ("auto", "ppk2", "host"):
        fields = spec_fields(BenchSpec(power=wanted), device)
        assert fields["power"] == "host"
        assert "power_settings" not in fields, "the device needs no settings of a meter that it does not read"
    assert spec_fields(BenchSpec(power="none"), device)["power"] == "none"
    assert spec_fields(BenchSpec(power="rapl"), device)["power"] == "rapl", "a sensor of the device itself"
    with pytest.raises(MeasurementError, match="no power meter that is cabled to the host") as caught:
        spec_fields(BenchSpec(power="host"), Device(name="pi", host="pi"))
    assert "[devices.pi.power]" in caught.value.remedy
