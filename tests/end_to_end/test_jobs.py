"""Benchmarks that outlive the link, the command and the folder that they were started from."""

from __future__ import annotations

import getpass
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.results.store import ResultStore
from tests.end_to_end.shell import QUICK_BENCH, ssh_device, write_lab
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.conftest import Packages
    from tests.end_to_end.shell import Shell

pytestmark = pytest.mark.slow
LONG = (
    "--batches",
    "1",
    "--threads",
    "1",
    "--windows",
    "1",
    "--min-seconds",
    "60",
    "--no-memory",
    "--no-accuracy",
)


@pytest.fixture
def own_sshd(tmp_path: Path) -> Any:
    """A server whose sessions a test may cut."""
    with Sshd.start(tmp_path / "server") as server:
        yield server


@pytest.fixture
def lab(shell: Shell, own_sshd: Sshd, packages: Packages) -> Path:
    """An inventory of one device, which has the package installed."""
    fields = ssh_device(own_sshd, shell.folder.parent / "device", user=getpass.getuser())
    path = write_lab(shell.folder / "lab.toml", pi=fields)
    shell.edgepack("devices", "trust", "pi", "--yes").ok()
    shell.edgepack("deploy", packages.new, "--device", "pi").ok()
    return path


def elsewhere(shell: Shell, lab: Path, name: str, **environment: str) -> Shell:
    """The same device seen from a folder that knows nothing else."""
    folder = shell.folder.parent / name
    folder.mkdir()
    return shell.within(folder, EDGEPACK_LAB=str(lab), **environment)


def jobs(shell: Shell) -> list[dict[str, Any]]:
    return list(shell.edgepack("jobs", "--device", "pi", "--json").ok().document["jobs"])


def running_job(shell: Shell, package: Path, *more: str) -> str:
    """Start a benchmark that would take a minute, and return its job id once it measures."""
    (job,) = (
        shell.edgepack("bench", package, "--device", "pi", *LONG, "--detach", *more, "--json")
        .ok()
        .document["jobs"]
    )
    deadline = time.monotonic() + 30
    while "batch" not in (jobs(shell)[-1]["stage"] or ""):
        assert time.monotonic() < deadline
    return str(job["job_id"])


@needs_sshd
def test_detached_and_collected_by_a_host_that_never_saw_the_package(
    shell: Shell, lab: Path, packages: Packages, own_sshd: Sshd
) -> None:
    options = ("--device", "pi", *QUICK_BENCH, "--detach", "--tag", "nightly", "--label", "branch=main")
    answer = shell.edgepack("bench", packages.new, *options, "--json").ok()
    (job,) = answer.document["jobs"]
    assert "edgepack collect --device pi --wait" in answer.err
    own_sshd.cut_sessions()
    # Other versions come and go meanwhile; the package of the record stays.
    shell.edgepack("deploy", packages.old, "--device", "pi", "--wait").ok()
    shell.edgepack("deploy", packages.new, "--device", "pi").ok()
    other = elsewhere(shell, lab, "other")
    (listed,) = jobs(other)
    assert (listed["job_id"], listed["name"], listed["tag"]) == (job["job_id"], "cnn", "nightly")
    answer = other.edgepack("collect", "--wait", "--json").ok()
    (record,) = answer.document["runs"]
    assert record["run_id"].startswith(job["job_id"])
    assert (record["tag"], record["labels"]) == ("nightly", {"branch": "main"})
    assert record["spec"]["quick"] is True
    quality = next(metric for metric in record["metrics"] if metric["name"] == "quality_device")
    assert quality["samples"] == 200, "accuracy is computed from what the device handed out"
    assert jobs(other) == [], "acknowledged"
    with closing(ResultStore(str(other.folder / ".edgepack/results.sqlite"))) as store:
        assert [kept.run_id for kept in store.find()] == [record["run_id"]]
    assert "Nothing to collect." in other.edgepack("collect").ok().out


@needs_sshd
def test_a_lost_link_leaves_the_benchmark_running_and_names_collect(
    shell: Shell, lab: Path, packages: Packages, own_sshd: Sshd
) -> None:
    bench = ("bench", packages.new, "--device", "pi", *QUICK_BENCH, "--min-seconds", "2")
    with shell.running(*bench) as running:
        running.wait_for("batch 1, 1 thread")
        own_sshd.cut_sessions()
        answer = running.end()
    answer.failed(8, "goes on on pi", "edgepack collect --device pi --wait")
    done = shell.edgepack("collect", "--device", "pi", "--wait", "--json").ok().document
    assert [record["package"]["name"] for record in done["runs"]] == ["cnn"]


@needs_sshd
def test_two_users_do_not_spoil_each_others_figures(shell: Shell, lab: Path, packages: Packages) -> None:
    ann = elsewhere(shell, lab, "ann", LOGNAME="ann")
    bob = elsewhere(shell, lab, "bob", LOGNAME="bob")
    job = running_job(ann, packages.new)
    bench = ("bench", packages.new, "--device", "pi", *QUICK_BENCH)
    started = time.monotonic()
    bob.edgepack(*bench).failed(9, "ann@", "is benchmarking cnn", "--wait", "--steal")
    bob.edgepack("deploy", packages.old, "--device", "pi").failed(9, "ann@", "is benchmarking cnn")
    answer = bob.edgepack(*bench, "--wait=3").failed(9, "ann@")
    assert "pi: waiting: ann@" in answer.err
    assert time.monotonic() - started > 3
    (record,) = bob.edgepack(*bench, "--steal", "the demo is at noon", "--json").ok().document["runs"]
    assert record["stolen_from"].startswith("ann@")
    assert record["steal_reason"] == "the demo is at noon"
    told = ann.edgepack("collect", "--device", "pi")
    told.failed(9, "bob@", "took this device over: the demo is at noon")
    assert [
        left["job_id"] for left in ann.edgepack("collect", "--device", "pi", "--json").document["left"]
    ] == [job]
    ann.edgepack("collect", "--device", "pi", "--clear-failed").ok()
    assert jobs(ann) == []


@needs_sshd
def test_a_waiting_user_gets_the_device_when_it_is_free(shell: Shell, lab: Path, packages: Packages) -> None:
    job = running_job(shell, packages.new)
    bench = ("bench", packages.new, "--device", "pi", *QUICK_BENCH, "--json", "--wait")
    with shell.running(*bench) as running:
        running.wait_for("waiting: ")
        shell.edgepack("jobs", "cancel", job, "--device", "pi").ok()
        document = running.end().ok().document
    assert len(document["runs"]) == 1
    assert document["runs"][0]["stolen_from"] is None


@needs_sshd
def test_others_jobs_are_left_to_them(shell: Shell, lab: Path, packages: Packages) -> None:
    ann = elsewhere(shell, lab, "ann", LOGNAME="ann")
    bob = elsewhere(shell, lab, "bob", LOGNAME="bob")
    ann.edgepack("bench", packages.new, "--device", "pi", *QUICK_BENCH, "--detach").ok()
    left = bob.edgepack("collect", "--wait", "--json").ok().document["left"]
    assert [job["reason"].startswith("it belongs to ann@") for job in left] == [True]
    done = bob.edgepack("collect", "--wait", "--all-owners", "--json").ok().document["runs"]
    assert len(done) == 1


@needs_sshd
def test_cancel_and_remove(shell: Shell, lab: Path, packages: Packages) -> None:
    job = running_job(shell, packages.new)
    shell.edgepack("jobs", "remove", job, "--device", "pi").failed(9, "still runs", f"jobs cancel {job}")
    assert f"pi: {job}: cancelled" in shell.edgepack("jobs", "--device", "pi", "cancel", job).ok().out
    (listed,) = jobs(shell)
    assert "cancelled by" in listed["error"]["message"]
    shell.edgepack("collect", "--device", "pi").ok()  # whoever cancels knows
    shell.edgepack("jobs", "remove", job, "--device", "pi").ok()
    shell.edgepack("jobs", "cancel", job, "--device", "pi").failed(10, f"No job {job}", "edgepack jobs")
    shell.edgepack("bench", packages.new, "--device", "pi", *QUICK_BENCH, "--detach").ok()
    (listed,) = jobs(shell)
    while listed["state"] == "running":
        (listed,) = jobs(shell)
    shell.edgepack("jobs", "remove", listed["job_id"], "--device", "pi").failed(9, "was not brought home")
    shell.edgepack("jobs", "remove", listed["job_id"], "--device", "pi", "--discard-record").ok()
    assert jobs(shell) == []


def test_run_detached_is_one_package_a_device(project: Shell) -> None:
    options = ("--device", "local", *QUICK_BENCH[:3], "--threads", "1", "--batches", "1", "--detach")
    project.edgepack("run", "-p", "int8", "-p", "float32", *options).failed(10, "one benchmark a device")
    (job,) = project.edgepack("run", "-p", "int8", *options, "--json").ok().document["jobs"]
    done = project.edgepack("collect", "--device", "local", "--wait", "--json").ok().document["runs"]
    assert [record["run_id"].startswith(job["job_id"]) for record in done] == [True]
