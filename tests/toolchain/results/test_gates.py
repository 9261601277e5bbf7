"""Gates: what they mean, when they fail, and that what cannot be judged never passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import ProjectError
from edgepack.toolchain.results.change import MetricChange
from edgepack.toolchain.results.gates import Gate, Limit, Place, judge, parse_gate
from edgepack.toolchain.results.job_record import Configuration

P90 = MetricChange(
    name="latency", aggregation="p90", configuration=Configuration(batch=1, threads=4), unit="ns",
    base=1e6, new=1.08e6, change=0.08, low=0.06, high=0.1, p_value=0.008, test="t", finding="worse",
    better="lower",
)  # fmt: skip
SIZE = MetricChange(
    name="model_size", aggregation="single", configuration=None, unit="bytes", base=1000.0, new=1001.0,
    change=0.001, finding="worse", better="lower", exact=True,
)  # fmt: skip
TOP1 = MetricChange(
    name="quality_device", aggregation="top1", configuration=None, unit="ratio", base=0.9, new=0.89,
    change=-0.01, is_points=True, low=-0.05, high=0.03, p_value=0.4, test="t", finding="inside the noise",
    better="higher", exact=True,
)  # fmt: skip


def status(bound: str, text: str, change: MetricChange) -> str:
    return judge(parse_gate(bound, text), change).status  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kind", "amount", "unit"),
    [
        ("latency_p90=+5%", "relative", 0.05, None),
        ("latency_p90=-10%", "relative", -0.1, None),
        ("accuracy=-0.5pp", "points", -0.005, None),
        ("latency_p50=20ms", "value", 20e6, "ns"),
        ("latency_p50=1.5 us", "value", 1500, "ns"),
        ("latency_p50=1.5 μs", "value", 1500, "ns"),
        ("model_size=+0B", "difference", 0, "bytes"),
        ("model_size=+1KiB", "difference", 1024, "bytes"),
        ("energy=5mJ", "value", 0.005, "J"),
        ("throughput=100/s", "value", 100, "inferences/s"),
        ("accuracy=88%", "value", 0.88, "ratio"),
        ("quality_device=-0.1", "difference", -0.1, None),
    ],
)
def test_limits_are_read_in_base_units(text: str, kind: str, amount: float, unit: str | None) -> None:
    limit = parse_gate("max", text).limit
    assert (limit.kind, limit.unit) == (kind, unit)
    assert limit.amount == pytest.approx(amount)


@pytest.mark.parametrize(
    "text",
    ["", "latency_p90", "=5%", "latency_p90=", "latency_p90=five", "latency_p90=+5 furlong", "x=0.5pp",
     "x=+5%%", "Latency=+5%", "x[batch]=+5%", "x[batch=1,batch=2]=+5%", "x[delegate=gpu]=+5%",
     "x=" + "9" * 200, "x[threads=-1]=+5%", "x=1e5ms", "x=nan", "x=+5%\n--max y=1"],
)  # fmt: skip
def test_what_is_no_gate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ProjectError) as caught:
        parse_gate("max", text)
    assert "Write " in caught.value.remedy


@given(st.text(max_size=80))
def test_any_text_is_a_gate_or_an_error(text: str) -> None:
    try:
        assert isinstance(parse_gate("min", text), Gate)
    except ProjectError as err:
        assert err.remedy


def test_people_write_accuracy_and_energy() -> None:
    assert parse_gate("min", "accuracy=-0.5pp").metric == "quality_device"
    assert parse_gate("max", "energy=+5%").metric == "energy_per_inference"


def test_places() -> None:
    place = parse_gate("max", "latency_p90[batch=4, threads=2]=+5%").place
    assert place == Place(4, 2)
    assert place.matches(Configuration(batch=4, threads=2)) and not place.matches(
        Configuration(batch=4, threads=1)
    )
    everywhere = parse_gate("max", "latency_p90[*]=+5%").place
    assert everywhere is not None and everywhere.matches(P90.configuration)
    assert Place(delegate="none").matches(Configuration(batch=1, threads=1, delegate="none"))
    assert not Place(delegate="none").matches(Configuration(batch=1, threads=1))


def test_a_measured_metric_fails_only_beyond_limit_and_noise() -> None:
    assert status("max", "latency_p90=+5%", P90) == "failed"
    assert status("max", "latency_p90=+10%", P90) == "passed"
    noisy = replace(P90, low=-0.02, high=0.2, p_value=0.1)
    result = judge(parse_gate("max", "latency_p90=+5%"), noisy)
    assert result.status == "passed" and result.undecided and "inside the noise" in result.message
    assert judge(parse_gate("max", "latency_p90=+5%", strict=True), noisy).status == "failed"
    better = replace(P90, change=-0.08, low=-0.1, high=-0.06)
    assert status("max", "latency_p90=+5%", better) == "passed"


def test_exactly_the_limit_is_allowed() -> None:
    assert status("max", "latency_p90=+8%", replace(P90, change=1.08 - 1)) == "passed"
    assert status("max", "model_size=+1B", SIZE) == "passed"
    assert status("min", "accuracy=-1pp", replace(TOP1, change=0.89 - 0.9)) == "passed"


def test_what_has_no_noise_is_held_against_the_limit_as_it_is() -> None:
    assert status("max", "model_size=+0B", SIZE) == "failed"
    result = judge(parse_gate("min", "accuracy=-0.5pp"), TOP1)
    assert result.status == "failed"
    assert result.message == "-1.00 pp (-5.00 to +3.00 pp), limit -0.5pp"


def test_what_nothing_can_test_is_held_against_the_limit_as_it_is() -> None:
    untested = replace(P90, low=None, high=None, p_value=None, test=None, finding="untested")
    assert status("max", "latency_p90=+5%", untested) == "failed"
    assert status("max", "latency_p90=+9%", untested) == "passed"


def test_an_improvement_that_is_demanded_must_be_shown() -> None:
    better = replace(P90, new=0.97e6, change=-0.03, low=-0.2, high=0.1, p_value=0.5)
    assert status("max", "latency_p90=-10%", better) == "failed"
    assert status("max", "latency_p90=-2%", better) == "passed"
    faster = replace(P90, name="throughput", aggregation="p50", better="higher", change=0.03)
    assert status("min", "throughput=+10%", faster) == "failed"


def test_a_value_may_reach_into_the_noise_of_the_figure_itself() -> None:
    assert status("max", "latency_p90=1ms", P90) == "failed"
    assert status("max", "latency_p90=1ms", replace(P90, new_low=0.99e6, new_high=1.2e6)) == "passed"
    strict = parse_gate("max", "latency_p90=1ms", strict=True)
    assert judge(strict, replace(P90, new_low=0.99e6, new_high=1.2e6)).status == "failed"
    assert status("max", "latency_p90=1ms", replace(P90, new_low=1.01e6, new_high=1.2e6)) == "failed"
    assert status("min", "accuracy=90%", replace(TOP1, new_low=0.8, new_high=0.95)) == "failed"


@pytest.mark.parametrize("text", ["latency_p90=+5%", "latency_p90=20ms", "latency_p90=+1ms"])
def test_what_is_unavailable_is_an_error_never_a_pass(text: str) -> None:
    gone = replace(P90, new=None, change=None, p_value=None, low=None, high=None, reason="throttled: 85 °C")
    result = judge(parse_gate("max", text), gone)
    assert result.status == "error" and "throttled" in result.message


def test_without_a_base_only_a_value_can_be_judged() -> None:
    fresh = replace(P90, base=None, change=None, p_value=None, low=None, high=None, reason="no run")
    assert status("max", "latency_p90=+5%", fresh) == "error"
    assert status("max", "latency_p90=+1ms", fresh) == "error"
    assert status("max", "latency_p90=20ms", fresh) == "passed"


@pytest.mark.parametrize(
    ("bound", "text", "change"),
    [
        ("max", "latency_p90=+5pp", P90),
        ("max", "latency_p90=5mJ", P90),
        ("max", "latency_p90=5", P90),
        ("min", "latency_p90=-5%", P90),
        ("max", "accuracy=+1pp", TOP1),
        ("min", "accuracy=-1%", TOP1),
        ("max", "model_size=+5ms", SIZE),
    ],
)
def test_a_limit_that_cannot_mean_what_it_should_is_refused(
    bound: str, text: str, change: MetricChange
) -> None:
    with pytest.raises(ProjectError):
        status(bound, text, change)


@given(change=st.floats(-0.5, 2), half=st.floats(0, 0.5), limit=st.floats(0, 0.5), p_value=st.floats(0, 1))
def test_a_gate_is_monotone(change: float, half: float, limit: float, p_value: float) -> None:
    """What fails a wide limit fails a narrow one; nothing inside the noise fails."""

    def result(amount: float) -> str:
        gate = Gate("max", "latency_p90", Limit("relative", amount, None, ""), None, "")
        measured = replace(P90, change=change, low=change - half, high=change + half, p_value=p_value)
        return judge(gate, measured).status

    if result(limit) == "failed":
        assert result(limit / 2) == "failed"
        assert change > limit and p_value <= 0.05 and change - half > 0
