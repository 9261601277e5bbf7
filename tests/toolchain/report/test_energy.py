from __future__ import annotations

from edgepack.toolchain.report.energy import ENERGY_COLUMNS, energy_cell, has_energy
from edgepack.toolchain.report.view import COLUMNS, group_models, headline_configuration
from edgepack.toolchain.results.schema import Metric
from edgepack.toolchain.results.value_text import value_text
from tests.toolchain.records import make_record
from tests.toolchain.report.throttled import make_full_record


def test_units():
    assert value_text(0.00138, "J") == "1.38 mJ"
    assert value_text(1.2e-6, "J*s") == "1.2 µJ·s"
    assert value_text(3.27, "W") == "3.27 W"


def test_each_figure_is_the_record_s():
    record = make_full_record()
    place = headline_configuration(record)
    for heading, name in ENERGY_COLUMNS.items():
        metric = record.find(name, configuration=place)
        assert isinstance(metric, Metric), name
        assert energy_cell(record, place, heading).text == value_text(metric.value, metric.unit)


def test_gross_and_over_idle_are_apart():
    record = make_full_record()
    place = headline_configuration(record)
    gross = record.value("energy_per_inference", configuration=place)
    over_idle = record.value("energy_over_idle_per_inference", configuration=place)
    assert 0 < over_idle < gross


def test_without_a_sensor_there_is_a_reason():
    record = make_record()
    assert not has_energy(record)
    cell = energy_cell(record, headline_configuration(record), "energy per inference")
    assert cell.text == "—"
    assert "no power sensor" in cell.reason


def test_a_narrow_table_has_the_column_only_where_it_was_measured():
    assert "energy" not in group_models([make_record()])[0].measured_columns
    assert group_models([make_record(), make_full_record("float32")])[0].measured_columns == COLUMNS
