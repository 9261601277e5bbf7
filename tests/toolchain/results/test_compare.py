"""Two runs compared: findings, tests, headline, gates, doubts."""

from __future__ import annotations

from typing import Any

import pytest

from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.results.change import Comparison, MetricChange
from edgepack.toolchain.results.compare import KEYS, compare
from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.gates import parse_gate
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.schema import Metric, RunRecord, Verdict
from tests.toolchain.records import facts, make_configuration, make_record

PLACES = ((1, 1), (1, 4), (4, 4))


def record(scale: float = 1.0, *, seed_windows: int = 5, **changes: Any) -> RunRecord:
    configurations = [make_configuration(*place, scale=scale, windows=seed_windows) for place in PLACES]
    return make_record(configurations=configurations, **changes)


def noisy(scale: float, wobble: list[float], **changes: Any) -> RunRecord:
    """Every window has its own level, as on a machine with neighbours."""
    configurations = []
    for place in PLACES:
        configuration = make_configuration(*place, windows=len(wobble))
        for window, factor in zip(configuration["windows"], wobble, strict=True):
            window["samples_ns"] = [int(sample * scale * factor) for sample in window["samples_ns"]]
        configurations.append(configuration)
    return make_record(configurations=configurations, **changes)


def found(comparison: Comparison, key: str, place: tuple[int, int] | None = (1, 4)) -> MetricChange:
    for change in comparison.changes:
        where = change.configuration
        if change.key == key and (where is None or (where.batch, where.threads) == place):
            return change
    raise AssertionError(key)


def replaced(run: RunRecord, name: str, **values: Any) -> RunRecord:
    metrics = [m.model_copy(update=values) if m.name == name else m for m in run.metrics]
    return run.model_copy(update={"metrics": metrics})


def test_two_identical_runs_pass_and_a_slowdown_of_ten_per_cent_fails() -> None:
    gates = [parse_gate("max", "latency_p90=+5%"), parse_gate("max", "latency_p50=+5%")]
    assert compare(record(), record(minutes=5), gates).passed
    slow = compare(record(), record(1.1, minutes=5), gates)
    assert not slow.passed
    assert {result.status for _, result in slow.gates} == {"failed"}
    change = found(slow, "latency_p50")
    assert change.change == pytest.approx(0.1, abs=0.001)
    assert change.finding == "worse" and change.p_value == pytest.approx(2 / 252)
    assert change.low is not None and change.high is not None and 0.09 < change.low < 0.1 < change.high < 0.11
    assert change.test == "Mann-Whitney U over 5 and 5 windows"


def test_faster_is_better_and_throughput_rises() -> None:
    comparison = compare(record(), record(0.8))
    assert found(comparison, "latency_p90").finding == "better"
    throughput = found(comparison, "throughput")
    assert throughput.finding == "better"
    assert throughput.change == pytest.approx(0.25, abs=0.001)
    assert throughput.low is not None and throughput.low > 0.2


def test_a_change_inside_the_noise_is_said_to_be() -> None:
    base, new = noisy(1.0, [1.0, 1.1, 0.9, 1.2, 1.05]), noisy(1.06, [0.95, 1.1, 0.92, 1.15, 1.0])
    change = found(compare(base, new, [parse_gate("max", "latency_p50=+0%")]), "latency_p50")
    assert change.finding == "inside the noise"
    assert change.low is not None and change.high is not None and change.low < 0 < change.high
    assert change.gate is not None and change.gate.status == "passed" and change.gate.undecided


def test_sure_but_tiny_is_negligible() -> None:
    base, new = noisy(1.0, [1.0] * 5), noisy(1.004, [1.0] * 5)
    steady = [make_configuration(1, 1) for _ in range(2)]
    for configuration, factor in zip(steady, (1.0, 1.004), strict=True):
        for index, window in enumerate(configuration["windows"]):
            window["samples_ns"] = [int(1e6 * factor) + index + i % 7 for i in range(200)]
    base, new = (make_record(configurations=[each]) for each in steady)
    change = found(compare(base, new), "latency_p50", (1, 1))
    assert change.p_value is not None and change.p_value < 0.05
    assert change.finding == "negligible" and change.reason == "beyond the noise, but under 1%"
    assert found(compare(base, new, min_effect=0.001), "latency_p50", (1, 1)).finding == "worse"


def test_a_run_against_itself_changes_nothing() -> None:
    run = record()
    for change in compare(run, run).changes:
        assert change.change in (0.0, None)
        assert change.finding in ("inside the noise", "unchanged", "untested", "not comparable")


def test_the_headline_is_chosen_in_base_and_kept_in_new() -> None:
    base, new = record(), record()
    comparison = compare(base, new, [parse_gate("max", "latency_p90=+5%")])
    assert comparison.headline == Configuration(batch=1, threads=4)
    assert [change.configuration for change, _ in comparison.gates] == [Configuration(batch=1, threads=4)]
    everywhere = compare(base, new, [parse_gate("max", "latency_p90[*]=+5%")])
    assert len(everywhere.gates) == 3
    one = compare(base, new, [parse_gate("max", "latency_p90[batch=4]=+5%")])
    assert [change.configuration for change, _ in one.gates] == [Configuration(batch=4, threads=4)]


def test_a_configuration_that_new_did_not_run_is_an_error() -> None:
    gone = {"batch": 1, "threads": 4, "unavailable": "throttled: 85 °C after three tries"}
    new = make_record(configurations=[make_configuration(1, 1), gone])
    comparison = compare(record(), new, [parse_gate("max", "latency_p90=+5%")])
    (change, result) = comparison.gates[0]
    assert result.status == "error" and "throttled" in result.message and not comparison.passed
    assert change.finding == "not comparable"
    absent = compare(record(), record(), [parse_gate("max", "latency_p90[batch=64]=+5%")])
    assert [result.status for _, result in absent.gates] == ["error"]


def test_a_gated_metric_that_neither_run_has_is_an_error() -> None:
    comparison = compare(record(), record(), [parse_gate("max", "energy=+5%")])
    assert [result.status for _, result in comparison.gates] == ["error"]
    assert not comparison.passed


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(ProjectError, match="Did you mean 'latency_p90'"):
        compare(record(), record(), [parse_gate("max", "latenzy_p90=+5%")])


def test_several_gates_stand_on_one_metric_and_the_worst_is_shown() -> None:
    gates = [parse_gate("max", "latency_p90=+50%"), parse_gate("max", "latency_p90=1us")]
    change = found(compare(record(), record(), gates), "latency_p90")
    assert [result.status for result in change.gates] == ["passed", "failed"]
    assert change.gate is not None and change.gate.status == "failed"


def test_sizes_have_no_noise() -> None:
    base, new = record(), replaced(record(), "model_size", value=50_001.0)
    assert found(compare(base, base), "model_size").finding == "unchanged"
    change = found(compare(base, new, [parse_gate("max", "model_size=+0B")]), "model_size")
    assert change.finding == "worse" and change.p_value is None
    assert change.gate is not None and change.gate.status == "failed"


def test_what_was_read_once_is_untested() -> None:
    change = found(compare(record(), replaced(record(), "peak_memory", value=9e7)), "peak_memory")
    assert change.finding == "untested" and change.reason == "read once a run: no test"


def test_quality_is_tested_as_shares_and_judged_as_it_is() -> None:
    base = replaced(record(), "quality_device", value=0.9, samples=1000, low=0.88, high=0.92)
    slightly = replaced(base, "quality_device", value=0.893)
    change = found(compare(base, slightly, [parse_gate("min", "accuracy=-0.5pp")]), "quality_device")
    assert change.is_points and change.change == pytest.approx(-0.007)
    assert change.finding == "inside the noise"  # 7 of 1000 samples tell nothing of the world beyond them
    assert change.gate is not None and change.gate.status == "failed"  # on this set it is a fact
    badly = found(compare(base, replaced(base, "quality_device", value=0.8)), "quality_device")
    assert badly.finding == "worse" and badly.test is not None and "two-proportion" in badly.test


def test_another_quality_metric_is_not_compared() -> None:
    base, new = record(), replaced(record(), "quality_device", aggregation="auc")
    change = found(compare(base, new), "quality_device")
    assert change.finding == "not comparable" and change.reason is not None and "auc" in change.reason


@pytest.mark.parametrize(
    ("metric", "expected"), [("mse", "better"), ("auc", "worse"), ("mine:score", "untested")]
)
def test_which_way_quality_is_better(metric: str, expected: str) -> None:
    unit = "ratio" if metric == "auc" else "1"
    values = {"aggregation": metric, "unit": unit}
    base = replaced(record(), "quality_device", value=0.9, low=0.89, high=0.91, **values)
    new = replaced(record(), "quality_device", value=0.7, low=0.69, high=0.71, **values)
    assert found(compare(base, new), "quality_device").finding == expected


def test_one_window_is_compared_by_its_blocks() -> None:
    change = found(compare(record(seed_windows=1), record(1.1, seed_windows=1)), "latency_p50")
    assert change.finding == "worse"
    assert change.test == "Mann-Whitney U over 10 and 10 blocks of 20 inferences"


def test_rejected_windows_take_no_part() -> None:
    configuration = make_configuration(1, 1, windows=7)
    for window in configuration["windows"][:2]:
        window |= {"samples_ns": [10**9] * 50, "rejected": "throttled"}
    new = make_record(configurations=[configuration])
    base = make_record(configurations=[make_configuration(1, 1, windows=5)])
    change = found(compare(base, new), "latency_p50", (1, 1))
    assert change.test == "Mann-Whitney U over 5 and 5 windows"
    assert change.finding == "inside the noise"


def powered(watts: float, **changes: Any) -> RunRecord:
    sensor = {"name": "hwmon:ina226", "driver": "hwmon", "covers": "the whole supply of the board"}
    configuration = make_configuration(1, 1, watts=watts)
    for window in configuration["windows"]:
        window["power"] |= changes
    return make_record(configurations=[configuration], power_sensor=sensor)


def test_energy_is_compared_window_by_window_with_the_sensors_doubt_added() -> None:
    comparison = compare(powered(3.0), powered(3.6), [parse_gate("max", "energy=+5%")])
    change = found(comparison, "energy_per_inference", (1, 1))
    assert change.finding == "worse" and change.change == pytest.approx(0.2, abs=0.01)
    assert change.low is not None and change.low < 0.2 - 0.004
    assert not comparison.passed
    assert (
        found(compare(powered(3.0), powered(3.0)), "energy_per_inference", (1, 1)).finding
        == "inside the noise"
    )


def test_a_sensor_that_saw_too_little_gives_no_energy_to_compare() -> None:
    comparison = compare(powered(3.0), powered(3.6, coverage=0.2), [parse_gate("max", "energy=+5%")])
    assert [result.status for _, result in comparison.gates] == ["error"]


def test_another_tools_summary_is_set_beside_the_headline() -> None:
    metrics = [("latency", "p50", 5e5), ("latency", "p95", 7e5), ("load_time", "single", 1e6)]
    tool = ForeignRun(
        "benchmark_model", "x.txt", "m.tflite", None,
        tuple(Metric(name=n, value=v, unit="ns", aggregation=a) for n, a, v in metrics),
    )  # fmt: skip
    comparison = compare(tool, record(), [parse_gate("max", "latency_p50=+5%")])
    assert [change.key for change in comparison.changes] == ["latency_p50", "load_time"]
    change = found(comparison, "latency_p50")
    assert change.new == record().value("latency", "p50", Configuration(batch=1, threads=4))
    assert change.finding == "untested" and change.reason == "no samples on one side: no test"
    assert change.gate is not None and change.gate.status == "failed"
    assert "summary by benchmark_model" in comparison.warnings[0]
    assert compare(record(), tool).changes[0].new == 5e5


def test_every_compared_metric_can_be_gated() -> None:
    for change in compare(record(), record()).changes:
        assert change.key in KEYS


def test_what_the_runs_differ_in_is_said() -> None:
    plain = record()
    assert not [w for w in compare(plain, record(minutes=1)).warnings if w.startswith("another")]
    other = record(
        emulated=True, minutes=-5, facts_before=facts(kernel="6.6.0", governor="powersave"),
        runtime={"kind": "litert", "version": "2.4.0", "source": "provisioned"},
    )  # fmt: skip
    other = other.model_copy(update={"verdict": Verdict(status="unstable", reasons=["throttled"])})
    said = "\n".join(compare(plain, other).warnings)
    for words in (
        "NEW ran on an emulated device", "NEW is unstable: throttled", "NEW is a --quick run",
        "another kernel: 6.1.0 → 6.6.0", "another governor: ondemand → powersave",
        "another runtime: litert 2.3.0 → litert 2.4.0", "NEW is older than BASE",
    ):  # fmt: skip
        assert words in said
