"""The governor: set for a block, put back after whatever ends it; files in a folder are the kernel's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.device_agent import children, governor, layout, process
from edgepack.device_agent.sysfs import Sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.device_agent.layout import WorkDir

BEFORE = {"cpu0": "ondemand", "cpu1": "schedutil"}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    for cpu, name in BEFORE.items():
        folder = tmp_path / "sys/devices/system/cpu" / cpu / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{name}\n")
        (folder / "scaling_available_governors").write_text("ondemand schedutil performance\n")
    return Sources(sys=tmp_path / "sys")


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return layout.open_work_dir(str(tmp_path / "work"))


@pytest.fixture(autouse=True)
def agent_path(agent_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The watchdog runs from the agent's file."""
    monkeypatch.setattr(children, "AGENT_PATH", agent_file)
    return agent_file


def now(sources: Sources) -> dict[str, str]:
    return {cpu: file(sources, cpu).read_text().strip() for cpu in BEFORE}


def file(sources: Sources, cpu: str) -> Path:
    return sources.cpu / cpu / "cpufreq/scaling_governor"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_set_inside_and_put_back_after(work: WorkDir, sources: Sources) -> None:
    with governor.governor(work, "performance", sources) as refused:
        assert refused is None
        assert set(now(sources).values()) == {"performance"}
        note = json.loads((work.root / "governor.json").read_text())
        assert note["governors"] == {"0": "ondemand", "1": "schedutil"}
        assert process.is_alive(note)
    assert now(sources) == BEFORE
    assert not (work.root / "governor.json").exists()


def test_it_is_put_back_after_an_error(work: WorkDir, sources: Sources) -> None:
    with pytest.raises(KeyError), governor.governor(work, "performance", sources):
        raise KeyError
    assert now(sources) == BEFORE


def test_nothing_is_touched_where_nothing_was_asked_for(work: WorkDir, sources: Sources) -> None:
    with governor.governor(work, None, sources) as refused:
        assert refused is None
        assert now(sources) == BEFORE
        assert not (work.root / "governor.json").exists()


def test_refusals_say_why(work: WorkDir, sources: Sources, tmp_path: Path) -> None:
    with governor.governor(work, "turbo", sources) as refused:
        assert (
            refused == "the governor cannot be set: CPU 0 has ondemand, schedutil, performance, not 'turbo'"
        )
    with governor.governor(work, "performance", Sources(sys=tmp_path / "nothing")) as refused:
        assert "has no cpufreq" in str(refused)
    assert now(sources) == BEFORE


def test_half_a_governor_is_none(work: WorkDir, sources: Sources) -> None:
    """The second core's file cannot be written (it is a folder: root may write everything else)."""
    odd = sources.cpu / "cpu2/cpufreq/scaling_governor"
    odd.mkdir(parents=True)
    (sources.cpu / "cpu1/cpufreq/scaling_governor").unlink()
    (sources.cpu / "cpu1/cpufreq/scaling_governor").symlink_to("/proc/version")
    with governor.governor(work, "performance", sources) as refused:
        assert "cpu1/cpufreq/scaling_governor: " in str(refused)
        assert file(sources, "cpu0").read_text().strip() == "ondemand", "put back at once"


def test_a_kernel_that_ignores_the_write(work: WorkDir, sources: Sources) -> None:
    file(sources, "cpu1").unlink()
    file(sources, "cpu1").symlink_to("/dev/null")
    written = governor._write_all({"0": "performance", "1": "performance"}, sources)
    assert "stays None" in str(written)


def hold(work: WorkDir, sources: Sources, agent_path: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the governor and waits for ever."""
    code = (
        "import sys, time; from pathlib import Path; from edgepack.device_agent import children, governor\n"
        "from edgepack.device_agent.layout import WorkDir; from edgepack.device_agent.sysfs import Sources\n"
        f"children.AGENT_PATH = Path({str(agent_path)!r})\n"
        f"with governor.governor(WorkDir(Path({str(work.root)!r})), 'performance', "
        f"Sources(sys=Path({str(sources.sys)!r}))):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout
    assert child.stdout.readline() == b"held\n"
    return child


def test_the_watchdog_puts_back_after_kill_9_of_the_job(
    work: WorkDir, sources: Sources, agent_path: Path
) -> None:
    with hold(work, sources, agent_path) as child:
        assert set(now(sources).values()) == {"performance"}
        os.killpg(child.pid, signal.SIGKILL)
    until(lambda: not (work.root / "governor.json").exists())
    assert now(sources) == BEFORE


def test_the_next_agent_puts_back_where_the_watchdog_was_killed_too(
    work: WorkDir, sources: Sources, agent_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold(work, sources, agent_path) as child:
        governor.put_back(work, sources)
        assert set(now(sources).values()) == {"performance"}, "it still runs"
        for watchdog in children_of(child.pid):
            os.kill(watchdog, signal.SIGKILL)
        os.killpg(child.pid, signal.SIGKILL)
    assert set(now(sources).values()) == {"performance"}
    monkeypatch.setattr(governor.put_back, "__defaults__", (sources,))
    layout.heal(work)
    assert now(sources) == BEFORE
    assert not (work.root / "governor.json").exists()


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    assert found
    return found


def note(work: WorkDir, **changes: object) -> None:
    gone = {
        "pid": 2**22 - 2,
        "start_ticks": 1,
        "boot_id": process.boot_id(),
        "governors": {"0": "performance"},
    }
    (work.root / "governor.json").write_text(json.dumps({**gone, **changes}))


def test_after_a_restart_nothing_is_written(work: WorkDir, sources: Sources) -> None:
    note(work, boot_id="another")
    governor.put_back(work, sources)
    assert now(sources) == BEFORE
    assert not (work.root / "governor.json").exists()


def test_a_note_that_was_tampered_with_writes_nowhere_else(
    work: WorkDir, sources: Sources, tmp_path: Path
) -> None:
    victim = tmp_path / "sys/devices/system/cpu/cpu0/victim"
    victim.write_text("ondemand")
    bad = {"0/../0": "x", "../../x": "performance", "0": "rm -rf\n", "1": 7}
    note(work, governors=bad)
    governor.put_back(work, sources)
    assert now(sources) == BEFORE
    note(work, governors=["performance"])
    governor.put_back(work, sources)
    (work.root / "governor.json").write_text("{torn")
    governor.put_back(work, sources)
    assert now(sources) == BEFORE


def test_a_cpu_that_went_offline_does_not_keep_the_others_from_being_put_back(
    work: WorkDir, sources: Sources
) -> None:
    note(work, governors={"0": "performance", "7": "performance"})
    governor.put_back(work, sources)
    assert now(sources)["cpu0"] == "performance"
    assert not (work.root / "governor.json").exists()
