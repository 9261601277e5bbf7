from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power.command import parse_line
from edgepack.device_agent.power.registry import choose, survey


def program(tmp_path: Path, body: str) -> dict:
    script = tmp_path / "meter.py"
    script.write_text("import json, os, sys, time\n" + body)
    return {"command": [sys.executable, "-u", str(script)]}


def meter(machine, tmp_path: Path, body: str):
    return choose("auto", program(tmp_path, body), machine.roots)


UNIX = "while True:\n    print(f'{time.time():.6f} 2.5'); time.sleep(0.04)\n"
MONOTONIC = "while True:\n    print(json.dumps({'t': time.monotonic(), 'w': 2.5})); time.sleep(0.04)\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"1700000000.125 3.217", (1700000000.125, 3.217)),
        (b"12.5,-0.25\r", (12.5, -0.25)),
        (b"12.5\t1e-3", (12.5, 0.001)),
        (b'{"t": 12.5, "w": 3, "note": "x"}', (12.5, 3.0)),
        (b"# a remark", None),
        (b"  ", None),
    ],
)
def test_a_line(line, found) -> None:
    assert parse_line(line) == found


@pytest.mark.parametrize(
    "line",
    [
        b"3.217",
        b"a b",
        b"1 2 3",
        b"1 nan",
        b"nan 1",
        b"1 inf",
        b'{"t": 1}',
        b'{"t": true, "w": 1}',
        b"1 1e9",
        b"{",
    ],
)
def test_a_line_that_cannot_be_read(line) -> None:
    with pytest.raises(ValueError):  # json has its own words
        parse_line(line)


@pytest.mark.parametrize("body", [UNIX, MONOTONIC])
def test_a_program_that_prints_watts(machine, tmp_path, measuring, body) -> None:
    sensor = meter(machine, tmp_path, body)
    first = measuring(sensor, 0.6)
    second = measuring(sensor, 0.6)
    sensor.close()
    for found in (first, second):
        assert found["joules"] == pytest.approx(2.5 * found["duration_ns"] / 1e9, rel=0.02)
        assert found["covers"] == "what your own program measures"


def test_a_step_with_the_program_s_own_timestamps(machine, tmp_path, measuring) -> None:
    """The program sends late and in bursts; its timestamps still place the step."""
    body = (
        "start = time.monotonic()\n"
        "while True:\n"
        "    burst = ''\n"
        "    for n in range(10):\n"
        "        t = time.monotonic()\n"
        "        burst += f'{t:.6f} {1.0 if t < start + 0.4 else 3.0}\\n'\n"
        "        time.sleep(0.005)\n"
        "    sys.stdout.write(burst); sys.stdout.flush()\n"
    )
    sensor = meter(machine, tmp_path, body)
    found = measuring(sensor, 1.4)
    sensor.close()
    trace = found["trace"]
    step = next(t for t, w in zip(trace["clock_ns"], trace["watts"], strict=True) if w > 2)
    end = trace["clock_ns"][-1]
    begin = end - found["duration_ns"]
    assert found["joules"] == pytest.approx(((step - begin) + 3 * (end - step)) / 1e9, rel=0.1)


def test_a_program_that_dies_is_quoted(machine, tmp_path, measuring) -> None:
    body = (
        "print(time.time(), 1.0); time.sleep(0.2)\n"
        "sys.stderr.write('loading\\nmeter unplugged\\n'); sys.exit(3)\n"
    )
    sensor = meter(machine, tmp_path, body)
    found = measuring(sensor, 0.5)
    sensor.close()
    assert found["unavailable"].endswith("ended with status 3: meter unplugged")


def test_a_program_that_is_killed(machine, tmp_path, measuring) -> None:
    body = "for n in range(5):\n    print(time.time(), 1.0); time.sleep(0.02)\nos.kill(os.getpid(), 9)\n"
    sensor = meter(machine, tmp_path, body)
    found = measuring(sensor, 0.5)
    sensor.close()
    assert "was ended by signal 9" in found["unavailable"]


def test_a_program_that_stalls(machine, tmp_path, measuring) -> None:
    body = "for n in range(20):\n    print(time.time(), 1.0); time.sleep(0.01)\ntime.sleep(60)\n"
    sensor = meter(machine, tmp_path, body)
    found = measuring(sensor, 0.6, once=True)
    sensor.close()
    assert "the last sample came" in found["unavailable"]


def test_a_program_with_another_clock(machine, tmp_path, measuring, monkeypatch) -> None:
    from edgepack.device_agent.power import stream

    monkeypatch.setattr(stream, "_FIRST_SAMPLE_TIMEOUT_S", 0.5)
    body = "while True:\n    print(time.time() - 7200, 1.0); time.sleep(0.01)\n"
    sensor = meter(machine, tmp_path, body)
    assert "sent no sample" in measuring(sensor, 0.1)["unavailable"]
    sensor.close()


def test_endless_lines_do_not_fill_the_memory(machine, tmp_path, measuring) -> None:
    body = (
        "while True:\n    print('x' * 100_000, end=''); print(); print(time.time(), 2.0); time.sleep(0.04)\n"
    )
    sensor = meter(machine, tmp_path, body)
    found = measuring(sensor, 0.6)
    sensor.close()
    assert found["dropped"] > 0
    assert found["average_w"] == pytest.approx(2.0)


def test_what_the_program_started_ends_with_it(machine, tmp_path, measuring) -> None:
    note = tmp_path / "child"
    body = "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
    body += f"open({str(note)!r}, 'w').write(str(child.pid))\n"
    sensor = meter(machine, tmp_path, body + UNIX)
    measuring(sensor, 0.1)
    sensor.close()
    child = int(note.read_text())
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_is_not_there(machine) -> None:
    settings = {"command": ["no-such-meter"]}
    (fact,) = survey(machine.roots, settings)
    assert fact["usable"] is False
    with pytest.raises(AgentError, match="no-such-meter"):
        choose("auto", settings, machine.roots)
