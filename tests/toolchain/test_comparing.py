"""Runs found by file, id, tag and "latest"; baselines written; gates of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepack.toolchain.comparing import Choice, compare_runs, parse_gate, project_gates, save_baseline
from edgepack.toolchain.config_file import read_toml, validate
from edgepack.toolchain.errors import MeasurementError, ProjectError
from edgepack.toolchain.gate_section import GateSection
from edgepack.toolchain.results.run_files import read_runs
from edgepack.toolchain.results.schema import RunRecord
from edgepack.toolchain.results.store import ResultStore
from tests.toolchain.records import make_configuration, make_record


def run(number: int, *, device: str = "pi4", tag: str | None = None, scale: float = 1.0) -> RunRecord:
    """A run with an id of its own, `number` minutes after the others."""
    configurations = [make_configuration(1, 1, scale=scale)]
    made = make_record(device=device, minutes=number, tag=tag, configurations=configurations)
    return made.model_copy(update={"run_id": f"run-{number}"})


@pytest.fixture
def store(tmp_path: Path) -> str:
    location = str(tmp_path / "results.sqlite")
    with ResultStore(location) as results:
        for record in (
            run(1, tag="baseline"),
            run(2, device="pi5", tag="baseline"),
            run(3),
            run(4, scale=1.1),
        ):
            results.add(record)
    return location


def test_runs_are_found_by_id_tag_and_latest(store: str) -> None:
    result = compare_runs("run-1", "run-4", store=store)
    assert [(c.base.run_id, c.new.run_id) for c in result.comparisons] == [("run-1", "run-4")]
    gates = [parse_gate("max", "latency_p90=+5%")]
    tagged = compare_runs("baseline", "latest", gates=gates, choice=Choice(device="pi4"), store=store)
    assert [(c.base.run_id, c.new.run_id) for c in tagged.comparisons] == [("run-1", "run-4")]
    assert not tagged.passed
    assert compare_runs("run-1", "run-3", gates=gates, store=store).passed


def test_latest_may_not_be_the_baseline_itself(store: str) -> None:
    with pytest.raises(MeasurementError, match=r"The newest run of .* on pi5 is BASE itself"):
        compare_runs("baseline", "latest", choice=Choice(device="pi5"), store=store)


def test_a_run_that_new_does_not_have_fails_the_gates(store: str, tmp_path: Path) -> None:
    gates = [parse_gate("max", "latency_p90=+50%")]
    file = tmp_path / "one.json"
    save_baseline("baseline", tmp_path / "two.json", store=store)
    save_baseline("run-3", file, store=store)
    missing = compare_runs(tmp_path / "two.json", file, gates=gates)
    assert missing.only_base == ("fashion int8 for rpi on pi5",)
    assert all(comparison.passed for comparison in missing.comparisons) and not missing.passed
    assert compare_runs(tmp_path / "two.json", file).passed  # without a gate it is only said
    chosen = compare_runs(tmp_path / "two.json", file, gates=gates, choice=Choice(device="pi4"))
    assert chosen.passed
    more = compare_runs(file, tmp_path / "two.json", gates=gates)
    assert more.passed and more.only_new == ("fashion int8 for rpi on pi5",)


def test_a_baseline_is_written_by_one_rename_and_read_again(store: str, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "baseline.json"
    assert [record.run_id for record in save_baseline("baseline", file, store=store)] == ["run-1", "run-2"]
    assert [each.run_id for each in read_runs(file)] == ["run-1", "run-2"]
    assert list(file.parent.iterdir()) == [file]
    (tmp_path / "occupied").write_text("")
    with pytest.raises(ProjectError, match="cannot be written"):
        save_baseline("run-1", tmp_path / "occupied" / "baseline.json", store=store)


def test_another_tools_summary_is_no_baseline(tmp_path: Path) -> None:
    file = tmp_path / "tool.json"
    file.write_text('{"model": "m", "num_threads": 1, "latency": {"median_ms": 1.5, "num_runs": 9}}')
    with pytest.raises(MeasurementError, match="no samples"):
        save_baseline(file, tmp_path / "baseline.json")


def test_what_does_not_exist_is_named(store: str, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="'nightly' is no file and no tag"):
        compare_runs("nightly", "run-1", store=store)
    with pytest.raises(MeasurementError, match="There is no file"):
        compare_runs("absent.json", "run-1", store=store)
    with pytest.raises(MeasurementError, match="none of the chosen"):
        compare_runs("run-1", "run-3", choice=Choice(device="pi9"), store=store)
    with pytest.raises(MeasurementError, match="no result store"):
        compare_runs("run-1", "run-3", store=str(tmp_path / "absent.sqlite"))


def test_the_gate_table_is_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(
        'max = { latency_p90 = "+5%", "latency_p50[*]" = "20ms" }\nmin = { accuracy = "-0.5pp" }\n'
    )
    gates = validate(read_toml(file), GateSection, path=file).gates()
    assert [gate.text for gate in gates] == [
        "--max latency_p90=+5%", "--max latency_p50[*]=20ms", "--min accuracy=-0.5pp",
    ]  # fmt: skip
    assert not any(gate.strict for gate in gates)
    file.write_text('strict = true\nmax = { latency_p90 = "+5%" }\n')
    assert [gate.strict for gate in validate(read_toml(file), GateSection, path=file).gates()] == [True]
    file.write_text('max = { latency_p90 = "five" }\n')
    with pytest.raises(ProjectError, match="is not a limit"):
        validate(read_toml(file), GateSection, path=file)


def test_the_projects_gates_are_those_of_its_table(tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_text('[gate]\nmax = { latency_p90 = "+5%" }\n')
    assert [gate.text for gate in project_gates(tmp_path)] == ["--max latency_p90=+5%"]
    (tmp_path / "edgepack.toml").write_text('[gate]\nmaximum = { latency_p90 = "+5%" }\n')
    with pytest.raises(ProjectError, match=r"unknown key 'gate\.maximum'"):
        project_gates(tmp_path)


def test_a_project_without_a_gate_table_has_no_gates(tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_text("")
    assert project_gates(tmp_path) == ()
