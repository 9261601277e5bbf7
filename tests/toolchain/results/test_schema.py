from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.json_schema import published_schemas
from edgepack.toolchain.results.schema import parse_run_record
from tests.toolchain.records import make_manifest, make_record

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


def test_a_record_survives_json():
    record = make_record(tag="baseline")
    assert parse_run_record(record.to_json(), source="x") == record


@pytest.mark.parametrize("name", sorted(published_schemas()))
def test_published_schemas_are_up_to_date(name):
    published = json.loads((SCHEMAS / name).read_text())
    assert published == json.loads(published_schemas()[name]), "run `make format`"


def test_records_and_manifests_satisfy_the_published_schemas():
    import jsonschema

    for name, value in (
        ("run-record-v2.json", json.loads(make_record(tag="t").to_json())),
        ("manifest-v1.json", json.loads(make_manifest().to_bytes())),
    ):
        schema = json.loads((SCHEMAS / name).read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(value, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**value, "schema_version": 9}, schema)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "not JSON"),
        ("[]", "schema_version None"),
        ('{"schema_version": 7}', "schema_version 7"),
        ('{"schema_version": 0}', "schema_version 0"),
        ('{"schema_version": 1}', "run_id"),
        ('{"schema_version": 2}', "run_id"),
    ],
)
def test_what_is_no_record(text, where):
    with pytest.raises(MeasurementError, match=where) as caught:
        parse_run_record(text, source="old.json")
    assert "old.json" in caught.value.message


def test_unknown_fields_of_a_later_version_are_ignored():
    value = json.loads(make_record().to_json())
    assert parse_run_record(json.dumps({**value, "later": 1}), source="x") == make_record()


def test_a_metric_without_value_and_reason_is_refused():
    value = json.loads(make_record().to_json())
    value["metrics"] = [{"name": "latency", "unit": "ns"}]
    with pytest.raises(MeasurementError, match="metrics"):
        parse_run_record(json.dumps(value), source="x")
