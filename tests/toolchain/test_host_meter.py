"""A meter at the host, or at a gateway, over real sshd: devices whose CLOCK_MONOTONIC is truly another one.

Time namespaces give each device a clock that is ahead by whole seconds, exactly: the test knows the offset
that edgepack has to find. The meter is a program that prints a square wave, so that the energy of any span is
known, and every window has steps in it.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.converters.artifacts import Provenance, QuantizedModel, sha256_of
from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy.connection import Cancellation
from edgepack.toolchain.deploy.device_power import DevicePower
from edgepack.toolchain.deploy.execute import deploy
from edgepack.toolchain.devices import check_device
from edgepack.toolchain.errors import AgentError, MeasurementError
from edgepack.toolchain.jobs import Choice, Home, collect_from
from edgepack.toolchain.measure.job import BenchSpec
from edgepack.toolchain.packaging.pack import pack
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key
from edgepack.toolchain.pipeline import Bench, bench_package, deploy_and_start, start_bench
from edgepack.toolchain.progress import silent
from edgepack.toolchain.results.window_record import PowerReading, Unavailable
from tests.sshd import Sshd, has_time_namespaces, needs_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.results.schema import RunRecord

pytestmark = [
    needs_sshd,
    pytest.mark.skipif(not has_time_namespaces(), reason="no time namespaces (root, Linux 5.6)"),
]
SECOND = 1_000_000_000
DEVICE_AHEAD_S, GATEWAY_AHEAD_S = 100_000, 7_000
LOW_W, HIGH_W, HALF_S = 2.0, 5.0, 0.37
# Like a meter with a buffer, it loses no sample while others have the processor.
METER = f"""
import sys, time
start = at = time.monotonic()
while at < start + LIFE_S:
    while at < time.monotonic():
        at += 0.002
        print(f"{{at:.9f}} {{{HIGH_W} if int((at - AHEAD_S) / {HALF_S}) % 2 else {LOW_W}}}")
    sys.stdout.flush()
    time.sleep(0.02)
sys.exit("the battery is empty")
"""
SPEC = BenchSpec(
    (2,), (1,), windows=3, warmup_min_seconds=0.0, warmup_max_seconds=0.1, min_runs=3, min_seconds=1.0,
    memory=False, evaluation=False,
)  # fmt: skip


def true_joules(from_ns: int, to_ns: int) -> float:
    """The energy of the square wave between two times of this machine's CLOCK_MONOTONIC."""

    def until(at_ns: int) -> float:
        halves, rest_s = divmod(at_ns / SECOND, HALF_S)
        pairs, odd = divmod(int(halves), 2)
        whole = pairs * (LOW_W + HIGH_W) * HALF_S + odd * LOW_W * HALF_S
        return whole + rest_s * (HIGH_W if odd else LOW_W)

    return until(to_ns) - until(from_ns)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Sshd]]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        Sshd.start(folder / "device", ahead_s=DEVICE_AHEAD_S) as device,
        Sshd.start(folder / "gateway", ahead_s=GATEWAY_AHEAD_S) as gateway,
    ):
        yield device, gateway


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, servers: tuple[Sshd, Sshd]) -> Path:
    """A package, installed on the device."""
    from edgepack.device_agent.runners.probe_model import PROBE_MODEL

    folder = tmp_path_factory.mktemp("package")
    create_key(folder / "key")
    path = folder / "add.tflite"
    path.write_bytes(PROBE_MODEL)
    content = sha256_of(path)
    model = QuantizedModel("add", path, content, "float32", Provenance("import", {"model": content}))
    made = pack(
        model, name="add", target=find_target("linux-x86_64"), samples=None, evaluation=None,
        verification=None, preprocessing={}, key=folder / "key", path=path.with_suffix(".epk"),
    )  # fmt: skip
    device = servers[0].device("pi", python=sys.executable)
    signers = allowed_signers_line(public_key(folder / "key"), "ann")
    deploy(made.path, device, servers[0].lab(device), signers=signers)
    return made.path


def meter(folder: Path, at: str, life_s: float = 3600.0, program: str = METER) -> DevicePower:
    path = folder / "meter.py"
    ahead_s = 0 if at == "host" else GATEWAY_AHEAD_S
    path.write_text(program.replace("AHEAD_S", str(ahead_s)).replace("LIFE_S", str(life_s)))
    settings = {"command": [sys.executable, str(path)]}
    return DevicePower.model_validate({"sensor": "command", "at": at, **settings})


def lab_of(servers: tuple[Sshd, Sshd], power: DevicePower) -> tuple[Device, Lab]:
    """The device with its meter, and an inventory that has the gateway too and knows both host keys."""
    device = servers[0].device("pi", python=sys.executable, power=power)
    gateway = servers[1].device("desk", python=sys.executable)
    lab = servers[0].lab(device, gateway)
    both = servers[0].folder.parent / "known_hosts"
    both.write_text("".join(server.known_hosts.read_text() for server in servers))
    return device, lab.model_copy(update={"known_hosts": both})


def bench_of(tmp_path: Path, spec: BenchSpec = SPEC) -> Bench:
    return Bench(spec, Home(str(tmp_path / "results.sqlite"), tmp_path, accuracy=False))


def measured(record: RunRecord) -> list[tuple[int, int, Any]]:
    """Start and length on the device's clock, and power, of every window and idle time."""
    (found,) = record.configurations
    spans = [(window.start_clock_ns, window.window_ns, window.power) for window in found.windows]
    idle = found.idle
    spans.append((idle.before_span.start_clock_ns, idle.before_span.duration_ns, idle.before))
    spans.append((idle.after_span.start_clock_ns, idle.after_span.duration_ns, idle.after))
    return spans


def check_energy(record: RunRecord, at: str) -> list[float]:
    """Compare every span with the truth, and return the relative errors."""
    sensor = record.power_sensor
    assert (sensor.name, sensor.driver, sensor.at) == ("command", "command", at)
    errors = []
    for start_ns, length_ns, power in measured(record):
        assert isinstance(power, PowerReading), power
        assert start_ns > DEVICE_AHEAD_S * SECOND, "the device's clock is another one"
        here_ns = start_ns - DEVICE_AHEAD_S * SECOND
        truth_j = true_joules(here_ns, here_ns + length_ns)
        assert abs(power.joules - truth_j) <= power.uncertainty_j
        errors.append((power.joules - truth_j) / truth_j)
        assert power.clock_uncertainty_ns is not None
        assert 1_000 < power.clock_uncertainty_ns < 100_000_000
        assert power.coverage > 0.9
        assert power.trace is not None
        times_ns = power.trace.clock_ns
        assert start_ns <= min(times_ns) < max(times_ns) <= start_ns + length_ns, "on the device's clock"
    assert max(map(abs, errors)) < 0.02
    return errors


@pytest.mark.parametrize("at", ["host", pytest.param("desk", marks=pytest.mark.slow)])
def test_energy_of_a_known_curve(servers: tuple[Sshd, Sshd], package: Path, tmp_path: Path, at: str) -> None:
    device, lab = lab_of(servers, meter(tmp_path, at))
    record = bench_package(package, device, lab, bench_of(tmp_path), silent, Cancellation())
    print("relative errors:", [f"{error:+.5%}" for error in check_energy(record, at)])
    print("clock uncertainty:", [power.clock_uncertainty_ns for *_, power in measured(record)], "ns")
    figures = {metric.name: metric for metric in record.metrics}
    assert figures["energy_per_inference"].value > 0
    assert figures["idle_power"].value == pytest.approx((LOW_W + HIGH_W) / 2, rel=0.3)
    assert record.spec.power == "host"


@pytest.mark.slow
def test_a_link_that_drops_costs_no_energy(servers: tuple[Sshd, Sshd], package: Path, tmp_path: Path) -> None:
    device, lab = lab_of(servers, meter(tmp_path, "host"))
    cut = threading.Event()

    def cut_once(stage: str, _done: int, _total: int) -> None:
        if stage.startswith("batch") and not cut.is_set():
            cut.set()
            servers[0].cut_sessions()

    record = bench_package(package, device, lab, bench_of(tmp_path), cut_once, Cancellation())
    assert cut.is_set()
    check_energy(record, "host")


@pytest.mark.slow
def test_a_meter_that_ends_costs_the_energy_and_not_the_run(
    servers: tuple[Sshd, Sshd], package: Path, tmp_path: Path
) -> None:
    device, lab = lab_of(servers, meter(tmp_path, "host", life_s=2.0))
    record = bench_package(package, device, lab, bench_of(tmp_path), silent, Cancellation())
    (found,) = record.configurations
    last = found.windows[-1].power
    assert isinstance(last, Unavailable)
    assert "the battery is empty" in last.unavailable
    assert found.windows[-1].samples_ns
    assert any(metric.name.startswith("latency") for metric in record.metrics)


def test_without_somebody_who_records_it_is_refused(
    servers: tuple[Sshd, Sshd], package: Path, tmp_path: Path
) -> None:
    device, lab = lab_of(servers, meter(tmp_path, "desk"))
    bench = bench_of(tmp_path)
    with pytest.raises(MeasurementError, match="cabled to the gateway 'desk'") as caught:
        start_bench(package, device, lab, bench, silent, Cancellation())
    assert "--power none" in caught.value.remedy
    with pytest.raises(MeasurementError, match="nobody would record it"):
        deploy_and_start(package, device, lab, bench, None, silent, Cancellation())


@pytest.mark.slow
def test_a_record_that_somebody_else_brings_home_says_why_it_has_no_energy(
    servers: tuple[Sshd, Sshd], package: Path, tmp_path: Path
) -> None:
    from edgepack.toolchain.deploy.agent_session import open_session
    from edgepack.toolchain.measure.job import start_job
    from edgepack.toolchain.packaging.archive import open_package

    device, lab = lab_of(servers, meter(tmp_path, "host"))
    with open_package(package) as opened, open_session(device, lab) as session:
        job_id = start_job(session, opened.manifest, SPEC)
    choice = Choice(job_ids=(job_id,), wait=True)
    (record,) = collect_from(device, lab, bench_of(tmp_path).home, choice).records
    (energy,) = [metric for metric in record.metrics if metric.name == "energy_per_inference"]
    assert "not cabled to the device" in energy.reason
    assert "had ended before the record came home" in energy.reason


def test_check_opens_the_meter(servers: tuple[Sshd, Sshd], tmp_path: Path) -> None:
    device, lab = lab_of(servers, meter(tmp_path, "desk"))
    found = check_device(device, lab, Cancellation()).meter
    assert found is not None
    assert (found.sensor, found.at, found.reason) == ("command", "desk", None)
    assert found.covers == "what your own program measures"


def test_a_meter_that_cannot_be_opened_is_told_before_the_job(
    servers: tuple[Sshd, Sshd], package: Path, tmp_path: Path
) -> None:
    device, lab = lab_of(servers, meter(tmp_path, "host", program="import sys; sys.exit('no such port')"))
    check = check_device(device, lab, Cancellation())
    assert check.meter is not None
    assert "no such port" in (check.meter.reason or "")
    assert any(
        "cannot be read" in finding.what and "no such port" in finding.what for finding in check.findings
    )
    with pytest.raises(AgentError, match="no such port"):
        bench_package(package, device, lab, bench_of(tmp_path), silent, Cancellation())
