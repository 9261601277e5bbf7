from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgepack.toolchain.packaging.archive import write_package
from edgepack.toolchain.packaging.manifest import FileEntry
from edgepack.toolchain.report.graphs import graphs_at_hand, packages_of
from edgepack.toolchain.report.html import html_report
from tests.toolchain.records import make_manifest, make_record
from tests.toolchain.report.builds import make_build
from tests.toolchain.report.throttled import make_full_record

MODEL = Path(__file__).parents[3].parent / "shared" / "models" / "kws_ref_model.tflite"


def build_of(record, package):
    return make_build("int8", package_id=record.package.package_id, package=package)


def test_a_model_at_hand_gives_the_work_of_its_operators(tmp_path):
    if not MODEL.is_file():
        pytest.skip("the MLPerf Tiny models are not here")
    model = MODEL.read_bytes()
    entry = FileEntry(path="model.tflite", size_bytes=len(model), sha256=hashlib.sha256(model).hexdigest())
    made = make_manifest()
    others = {"g/i.bin": b"12345678", "g/o.bin": b"1234", "e/x.bin": bytes(320), "e/l.bin": bytes(320)}
    entries = [
        FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in others.items()
    ]
    manifest = made.model_copy(update={"files": [entry, *entries]})
    package = write_package(tmp_path / "a.epk", manifest, {"model.tflite": model, **others}, b"signature")
    record = make_full_record(manifest=manifest)
    build = build_of(record, package.path)
    assert list(graphs_at_hand([record], packages_of([build]))) == [entry.sha256]
    assert "bound by" in html_report([record], [build])


def test_a_package_that_is_gone_or_damaged_costs_nothing_but_the_work(tmp_path):
    record = make_full_record()
    (tmp_path / "bad.epk").write_bytes(b"no package")
    for package in (None, tmp_path / "gone.epk", tmp_path / "bad.epk"):
        assert graphs_at_hand([record], packages_of([build_of(record, package)])) == {}
    text = html_report([record], [build_of(record, tmp_path / "bad.epk")])
    assert "its package is not at hand" in text


def test_nothing_is_read_where_nothing_was_profiled(tmp_path):
    assert graphs_at_hand([make_record()], [tmp_path / "gone.epk"]) == {}


def test_where_a_package_lies_is_not_kept(tmp_path):
    assert "package" not in make_build("int8", package=tmp_path / "a.epk").to_dict()
