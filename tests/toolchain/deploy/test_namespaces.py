"""Several hosts with their own addresses, and cables that are pulled."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.connection import connect
from edgepack.toolchain.deploy.execute import deploy
from edgepack.toolchain.deploy.fleet import run_fleet
from edgepack.toolchain.deploy.inventory import Lab
from edgepack.toolchain.deploy.transfer import blob_of_bytes, find_missing, push, push_blobs
from edgepack.toolchain.errors import NetworkError
from tests.namespaces import Namespaces, needs_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.execute import Deployment
    from edgepack.toolchain.deploy.inventory import Device
    from edgepack.toolchain.packaging.archive import Package
    from edgepack.toolchain.progress import Report

pytestmark = [pytest.mark.root, needs_namespaces]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespaces]:
    with Namespaces.start(tmp_path_factory.mktemp("hosts"), count=3) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def lab(hosts: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    known = tmp_path_factory.mktemp("known") / "known_hosts"
    known.write_text("".join(server.known_hosts.read_text() for server in hosts.servers))
    devices = [
        server.device(f"pi{number}", python=sys.executable, connect_timeout_s=3.0, link_timeout_s=2.0)
        for number, server in enumerate(hosts.servers)
    ]
    return Lab(path=None, devices=tuple(devices), known_hosts=known)


@pytest.mark.slow
def test_cable_pulled_during_an_upload(hosts: Namespaces, lab: Lab) -> None:
    """The cut is noticed within seconds, and the next push goes on from what arrived."""
    device = lab.device("pi0")
    data = random.Random(2).randbytes(64 << 20)
    blob = blob_of_bytes(hashlib.sha256(data).hexdigest(), data)
    cut_at = 0.0

    def cut(_stage: str, done: int, _total: int) -> None:
        nonlocal cut_at
        if done > 16 << 20 and not cut_at:
            hosts.cut(0)
            cut_at = time.monotonic()

    with pytest.raises(NetworkError), open_session(device, lab) as session:
        push_blobs(session, [blob], report=cut)
    assert time.monotonic() - cut_at < 6
    hosts.mend(0)
    with open_session(device, lab) as session:
        need = find_missing(session, [blob])
        assert need.missing[0].offset_bytes > 1 << 20
        assert push(session, need) == len(data) - need.missing[0].offset_bytes
        assert find_missing(session, [blob]).missing == ()


def test_cable_pulled_while_waiting(hosts: Namespaces, lab: Lab) -> None:
    """Nothing is being sent: the keep-alive notices."""
    connection = connect(lab.device("pi1"), lab)
    try:
        stream = connection.open_stream(["cat"])
        hosts.cut(1)
        started = time.monotonic()
        with pytest.raises(NetworkError, match="failed"):
            stream.receive(1, timeout_s=60)
        assert time.monotonic() - started < 6
    finally:
        hosts.mend(1)
        connection.close()


def test_fleet_with_a_dead_host(hosts: Namespaces, lab: Lab, package: Package, signers: str) -> None:
    hosts.cut(2)

    def work(device: Device, report: Report, cancellation: Cancellation) -> Deployment:
        return deploy(package.path, device, lab, signers=signers, report=report, cancellation=cancellation)

    try:
        outcomes = run_fleet(lab.devices, work, attempts=1)
    finally:
        hosts.mend(2)
    assert [outcome.error is None for outcome in outcomes] == [True, True, False]
    assert isinstance(outcomes[2].error, NetworkError)
    assert "does not answer" in outcomes[2].error.message
