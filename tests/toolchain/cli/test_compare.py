"""`edgepack compare` as a person and a CI job call it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgepack.toolchain.cli.main import run
from edgepack.toolchain.errors import GateError
from edgepack.toolchain.report.json_report import json_report
from tests.toolchain.records import make_configuration, make_record


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three runs: one, one like it, and one that is ten per cent slower."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgepack.toml").write_text("")
    for minutes, (name, scale) in enumerate({"base": 1.0, "same": 1.0, "slow": 1.1}.items()):
        record = make_record(minutes=minutes, configurations=[make_configuration(1, 1, scale=scale)])
        record = record.model_copy(update={"run_id": name})
        (tmp_path / f"{name}.json").write_text(json_report([record]))
    return tmp_path


def test_two_identical_runs_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base.json", "same.json", "--max", "latency_p90=+5%"]) == 0
    assert "Passed: 1 gate kept." in capsys.readouterr().out


def test_a_slowdown_of_ten_per_cent_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base.json", "slow.json", "--max", "latency_p90=+5%"]) == GateError.exit_code == 13
    captured = capsys.readouterr()
    assert "FAILED max +5%" in captured.out
    assert captured.err.startswith("error: A gate failed")


def test_without_a_gate_a_slowdown_is_only_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base.json", "slow.json"]) == 0
    assert "(p = 0.0079)" in capsys.readouterr().out


def test_the_projects_gates_hold_unless_others_are_given(files: Path) -> None:
    (files / "edgepack.toml").write_text('[gate]\nmax = { latency_p90 = "+5%" }\n')
    assert run(["compare", "base.json", "slow.json"]) == 13
    assert run(["compare", "base.json", "slow.json", "--max", "latency_p90=+20%"]) == 0


def test_what_cannot_be_judged_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base.json", "same.json", "--max", "energy=+5%"]) == 13
    assert "NOT JUDGED" in capsys.readouterr().out


def test_reports_for_ci_are_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", "base.json", "slow.json", "--max", "latency_p50=+5%"]
    assert run([*arguments, "--junit", "ci/junit.xml", "--markdown", "ci/comment.md"]) == 13
    assert ElementTree.parse(files / "ci/junit.xml").getroot().get("failures") == "1"
    assert "**FAILED max +5%**" in (files / "ci/comment.md").read_text()
    capsys.readouterr()
    assert run([*arguments, "--markdown", "-"]) == 13
    assert capsys.readouterr().out == (files / "ci/comment.md").read_text()
    (files / "occupied").write_text("")
    assert run([*arguments, "--junit", "occupied/junit.xml"]) == 3


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base.json", "slow.json", "--max", "latency_p50=+5%", "--json"]) == 13
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False and document["comparisons"][0]["new"]["run_id"] == "slow"


def test_a_baseline_is_saved_and_compared_with(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base.json", "--save-baseline", "baseline.json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "fashion int8 for rpi on pi4: base\n"
    assert "Commit it" in captured.err
    gate = ["--max", "latency_p90=+5%"]
    assert run(["compare", "baseline.json", "same.json", *gate]) == 0
    assert run(["compare", "baseline.json", "slow.json", *gate]) == 13


@pytest.mark.parametrize(
    "arguments",
    [
        ["base.json"],
        ["base.json", "slow.json", "--max", "latency_p90"],
        ["base.json", "slow.json", "--min", "accuracy=lots"],
        ["base.json", "slow.json", "--save-baseline", "x.json"],
        ["base.json", "slow.json", "--min-effect", "-1"],
    ],
)
def test_wrong_usage_is_said_as_such(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", *arguments]) == 2
    assert capsys.readouterr().err.startswith("Usage: edgepack compare")


def test_what_is_wrong_in_a_file_or_gate_has_its_remedy(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "bad.json").write_text("{")
    for arguments, code in (
        (["bad.json", "slow.json"], 10),
        (["absent.json", "slow.json"], 10),
        (["nightly", "slow.json"], 10),
        (["base.json", "slow.json", "--max", "latency_p91=+5%"], 3),
        (["base.json", "slow.json", "--max", "throughput=+5%"], 3),
    ):
        assert run(["compare", *arguments]) == code
        assert "  help: " in capsys.readouterr().err


def test_another_tools_result_is_compared_with(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "tool.txt").write_text(
        "count=50 first=1300 curr=1200 min=1150 max=1400 avg=1250 std=20 p5=1180 median=1240 p95=1300\n"
        "Inference timings in us: Init: 1461, First inference: 1300, Warmup (avg): 1290, "
        "Inference (avg): 1250\n"
    )
    assert run(["compare", "tool.txt", "base.json"]) == 0
    out = capsys.readouterr().out
    assert "untested [1]" in out and "no samples on one side: no test" in out
    assert "careful: BASE is a summary by benchmark_model without samples" in out
