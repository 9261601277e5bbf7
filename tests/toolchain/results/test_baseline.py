"""Baselines can be judged again, are small, and read well in a diff; files of runs are checked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.report.json_report import json_report
from edgepack.toolchain.results import run_files
from edgepack.toolchain.results.baseline import baseline_text, thinned_samples
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.job_record import ConfigurationSamples
from edgepack.toolchain.results.matching import identity, match_runs, newest
from edgepack.toolchain.results.run_files import read_runs
from edgepack.toolchain.results.schema import RunRecord
from tests.toolchain.records import make_configuration, make_record


def written(folder: Path, text: str | bytes, name: str = "runs.json") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def long_record() -> RunRecord:
    """Five windows of 20,000 samples, as ten seconds of a fast model are."""
    configuration = make_configuration(1, 1)
    generator = np.random.default_rng(5)
    for window in configuration["windows"]:
        window["samples_ns"] = [int(x) for x in 5e5 * (1 + generator.gamma(1.5, 0.02, 20_000))]
        window["runs"] = 20_000
        window["states"] = window["states"] * 50
    return make_record(configurations=[configuration])


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=400), st.integers(2, 50))
def test_thinning_keeps_ends_order_and_number(samples: list[int], count: int) -> None:
    kept = thinned_samples(samples, count)
    assert len(kept) == min(len(samples), count)
    assert min(kept) == min(samples) and max(kept) == max(samples)
    remaining = iter(samples)
    assert all(sample in remaining for sample in kept)  # a subsequence: the order they were taken in


def test_thinning_leaves_every_quantile_where_it_was() -> None:
    samples = [int(x) for x in np.random.default_rng(1).lognormal(13, 0.2, 50_000)]
    kept = thinned_samples(samples, 1000)
    for percent in (1, 10, 50, 90, 99):
        assert np.percentile(kept, percent) == pytest.approx(np.percentile(samples, percent), rel=0.003)


def test_a_baseline_is_judged_as_the_run_it_was_made_of(tmp_path: Path) -> None:
    whole = long_record()
    (kept,) = read_runs(written(tmp_path, baseline_text([whole])))
    assert isinstance(kept, RunRecord)
    assert kept.run_id == whole.run_id and kept.metrics == whole.metrics
    for change in compare(kept, whole).changes:
        assert change.finding in ("inside the noise", "unchanged", "untested", "not comparable"), change


def test_a_baseline_is_small_and_says_what_it_left_out(tmp_path: Path) -> None:
    record = long_record()
    text = baseline_text([record])
    assert len(text) < 400_000 < len(record.to_json())
    (kept,) = read_runs(written(tmp_path, text))
    assert isinstance(kept, RunRecord)
    (configuration,) = kept.configurations
    assert isinstance(configuration, ConfigurationSamples)
    window = configuration.windows[0]
    assert len(window.samples_ns) == 8000 and window.runs == 20_000
    assert window.sample_stride == 2 and len(window.states) == 2
    assert kept.profile is not None and "left out" in kept.profile.unavailable  # type: ignore[union-attr]


def test_the_same_runs_give_the_same_bytes_and_a_readable_diff() -> None:
    first, second = make_record("int8"), make_record("float32")
    text = baseline_text([first, second])
    assert text == baseline_text([second, first])
    lines = text.splitlines()
    assert (
        lines[4].strip().startswith('"fashion float32 for rpi on pi4, 2026-11-22, batch 1, 4 threads: p50 ')
    )
    samples = [line for line in lines if '"samples_ns"' in line]
    assert len(samples) == 2 * 9 * 5 and all(line.endswith("],") for line in samples)
    metrics = sum('"aggregation"' in line for line in lines)
    assert metrics > 100 and max(map(len, lines[:5])) < 200


def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    one, two = make_record("int8"), make_record("float32")
    dumps = [record.model_dump(mode="json") for record in (one, two)]
    report = json_report([one, two])
    for text in (
        report,
        json.dumps(dumps),
        json.dumps({"runs": dumps, "failures": []}),
        gzip.compress(report.encode()),
    ):
        assert read_runs(written(tmp_path, text)) == [one, two]
    assert read_runs(written(tmp_path, one.to_json())) == [one]
    tool = '{"model": "m.tflite", "num_threads": 1, "latency": {"median_ms": 1.5, "num_runs": 9}}'
    (foreign,) = read_runs(written(tmp_path, tool, "tool.json"))
    assert isinstance(foreign, ForeignRun) and foreign.run_id == "tool.json"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "neither JSON nor"),
        (b"{}", "holds no run"),
        (b"[]", "holds no run"),
        (b"3", "holds no run"),
        (b"[1]", "schema_version"),
        (b'{"run_id": "x", "schema_version": 99}', "schema_version 99"),
        (b"[" * 100_000, "neither JSON nor"),
        (b"\x1f\x8bnonsense", "damaged"),
        (gzip.compress(b"[]" * 1000, mtime=0)[:-12], "cut short"),
        (json.dumps([{}] * 1001).encode(), "at most 1000"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(MeasurementError, match=says):
        read_runs(written(tmp_path, content))


def test_sizes_are_bounded_before_and_after_decompression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_files, "MAX_FILE_BYTES", 10_000)
    with pytest.raises(MeasurementError, match="at most 10000 are read"):
        read_runs(written(tmp_path, b" " * 10_001))
    with pytest.raises(MeasurementError, match="more than that"):
        read_runs(written(tmp_path, gzip.compress(b" " * 1_000_000)))
    with pytest.raises(MeasurementError, match="is not a file"):
        read_runs(tmp_path)
    with pytest.raises(MeasurementError, match="There is no file"):
        read_runs(tmp_path / "absent.json")


def test_runs_are_matched_by_package_target_precision_and_device() -> None:
    base = [make_record("int8", "pi4"), make_record("int8", "pi5"), make_record("float32", "pi4")]
    new = [
        make_record("float32", "pi4", minutes=9),
        make_record("int8", "pi4", minutes=9),
        make_record("int8", "pi3"),
    ]
    matches = match_runs(base, new)
    assert {identity(first) for first, _ in matches.pairs} == {identity(base[0]), identity(base[2])}
    assert all(identity(first) == identity(second) for first, second in matches.pairs)
    assert list(matches.only_base) == [base[1]] and list(matches.only_new) == [new[2]]


def test_one_run_on_each_side_is_a_pair_whatever_they_are() -> None:
    one, other = make_record("int8", "pi4"), make_record("float32", "pi5")
    assert match_runs([one], [other]).pairs == ((one, other),)


def test_of_several_runs_the_newest_counts() -> None:
    runs = [make_record(minutes=minutes) for minutes in (3, 9, 1)]
    assert newest(runs) == [runs[1]]


def test_nothing_in_common_is_an_error() -> None:
    base = [make_record("int8", "pi4"), make_record("float32", "pi4")]
    with pytest.raises(MeasurementError, match="Nothing belongs together"):
        match_runs(base, [make_record("int8", "pi5")])
