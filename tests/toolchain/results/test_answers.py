"""Answers are kept by the real conversion, checked, and make the test of quality a paired one."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgepack.toolchain.measure.quality import DeviceQuality
from edgepack.toolchain.results.answers import Answers, answers_of
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.from_job import RunContext, record_from_job
from edgepack.toolchain.results.job_record import parse_job_record
from edgepack.toolchain.results.schema import RunRecord, parse_run_record
from tests.toolchain.records import LABELS, SAMPLES, TIME, make_job, make_manifest, make_record, top1

SHA = hashlib.sha256(b"labels").hexdigest()


def answered(right: np.ndarray, labels_sha256: str = SHA) -> RunRecord:
    run = make_record()
    value = float(right.mean())
    changes = {"value": value, "samples": right.size, "low": value - 0.02, "high": min(1.0, value + 0.02)}
    metrics = [m.model_copy(update=changes) if m.name == "quality_device" else m for m in run.metrics]
    return run.model_copy(update={"metrics": metrics, "answers": answers_of(right, labels_sha256)})


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_answers_come_back_as_they_were(right: list[bool]) -> None:
    kept = answers_of(np.array(right), SHA)
    assert kept is not None
    again = Answers.model_validate(json.loads(kept.model_dump_json()))
    assert again.array().tolist() == right


@pytest.mark.parametrize(
    "change", [{"right": "!"}, {"right": "AAAA"}, {"count": 9}, {"count": 0}, {"labels_sha256": "x"}]
)
def test_answers_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Answers.model_validate({"labels_sha256": SHA, "count": 8, "right": "/w==", **change})


def test_a_run_keeps_which_samples_were_right() -> None:
    def hits(outputs: tuple[np.ndarray, ...]) -> np.ndarray:
        right: np.ndarray = outputs[0].argmax(axis=1) == LABELS
        return right

    manifest = make_manifest()
    job = parse_job_record(json.dumps(make_job(manifest)).encode())
    context = RunContext("pi4", "ssh", emulated=False, time=TIME, tool_version="0")
    quality = DeviceQuality(top1, hits, SHA)
    record = record_from_job(job, manifest, context, quality=quality)
    assert record.answers is not None and record.answers.count == SAMPLES
    assert record.answers.array().tolist() == [False] + [True] * (SAMPLES - 1)
    assert record.value("quality_device") == (SAMPLES - 1) / SAMPLES
    assert parse_run_record(record.to_json(), source="x") == record
    assert record_from_job(job, manifest, context, quality=DeviceQuality(top1)).answers is None


def test_the_same_questions_make_a_paired_test_which_finds_more() -> None:
    before = np.ones(1000, bool)
    before[:100] = False
    after = before.copy()
    after[100:112] = False  # twelve samples lost, none won: 90.0 -> 88.8 %
    paired = next(c for c in compare(answered(before), answered(after)).changes if c.name == "quality_device")
    assert paired.test == "McNemar's exact test over 1000 samples"
    assert paired.finding == "worse" and paired.p_value == pytest.approx(2 / 2**12)
    other = answered(after, hashlib.sha256(b"others").hexdigest())
    apart = next(c for c in compare(answered(before), other).changes if c.name == "quality_device")
    assert apart.test is not None and apart.test.startswith("two-proportion")
    assert apart.finding == "inside the noise"
