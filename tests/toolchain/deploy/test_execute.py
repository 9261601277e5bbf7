"""A signed package to the real agent, on this machine and over a real sshd."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.deploy import remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.execute import deploy, plan_deploy
from edgepack.toolchain.errors import AgentError, NetworkError, PackageError
from edgepack.toolchain.packaging.signature import allowed_signers_line, create_key, public_key
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.packaging.archive import Package


def test_deploy_and_again(local: Device, lab: Lab, package: Package, signers: str) -> None:
    plan = plan_deploy(package.path, local, lab, signers=signers)
    assert not plan.is_installed
    assert (plan.current, plan.signers) == (None, signers)
    assert plan.need.left_bytes == plan.total_bytes > 0
    stages: list[str] = []
    first = deploy(
        package.path, local, lab, signers=signers, report=lambda stage, _d, _t: stages.append(stage)
    )
    assert (first.device, first.name, first.package_id) == ("local", "add", package.package_id)
    assert (first.previous, first.already_installed) == (None, False)
    assert first.sent_bytes == plan.total_bytes
    assert (first.runtime.source, first.runtime.runtime_id) == ("system", "system")
    assert first.golden.max_error <= first.golden.tolerance
    assert [stage for stage in dict.fromkeys(stages) if stage in ("connect", "plan", "push", "golden")] == [
        "connect", "plan", "push", "golden",
    ]  # fmt: skip
    again = deploy(package.path, local, lab, signers=signers)
    assert (again.already_installed, again.sent_bytes) == (True, 0)
    assert plan_deploy(package.path, local, lab).is_installed


def test_planning_changes_nothing(local: Device, lab: Lab, package: Package, signers: str) -> None:
    plan_deploy(package.path, local, lab, signers=signers)
    with open_session(local, lab) as session:
        assert remote.installed(session) == []
        assert remote.allowed_signers(session) == ""


def test_device_that_trusts_nobody_refuses(local: Device, lab: Lab, package: Package) -> None:
    with pytest.raises(AgentError) as caught:
        deploy(package.path, local, lab)
    assert caught.value.code == "untrusted_signer"


def test_trust_of_a_device_is_not_overwritten(
    local: Device, lab: Lab, package: Package, signers: str, tmp_path: Path
) -> None:
    create_key(tmp_path / "other")
    other = allowed_signers_line(public_key(tmp_path / "other"), "edgepack")
    with open_session(local, lab) as session:
        remote.set_allowed_signers(session, other)
    with pytest.raises(AgentError) as caught:
        deploy(package.path, local, lab, signers=signers)
    assert caught.value.code == "untrusted_signer"
    with open_session(local, lab) as session:
        assert remote.allowed_signers(session).strip() == other.strip()
        assert remote.installed(session) == []


def test_damaged_package_never_arrives(
    local: Device, lab: Lab, package: Package, signers: str, tmp_path: Path
) -> None:
    data = bytearray(package.path.read_bytes())
    position = data.index(b"TFL3")
    data[position] ^= 1
    damaged = tmp_path / "damaged.epk"
    damaged.write_bytes(data)
    with pytest.raises(PackageError, match="damaged"):
        deploy(damaged, local, lab, signers=signers)
    done = deploy(package.path, local, lab, signers=signers)
    assert not done.already_installed


@needs_sshd
def test_deploy_over_ssh_survives_a_cut(sshd: Sshd, tmp_path: Path, package: Package, signers: str) -> None:
    # sshd's own Python need not have a runtime: it runs this test's Python, which has.
    import sys

    device = sshd.device(work_dir=str(tmp_path / "work"), python=sys.executable)

    def cut(stage: str, _done: int, _total: int) -> None:
        if stage == "push":
            sshd.cut_sessions()

    with pytest.raises(NetworkError):
        deploy(package.path, device, sshd.lab(), signers=signers, report=cut)
    done = deploy(package.path, device, sshd.lab(), signers=signers)
    assert not done.already_installed
    assert done.connect_s > 0
    with open_session(device, sshd.lab()) as session:
        found = remote.installed(session)
        assert [(each.name, each.package_id, each.runtime) for each in found] == [
            ("add", package.package_id, "system")
        ]
        assert remote.remove(session, "add").name == "add"
        assert remote.installed(session) == []


def test_values_are_frozen(local: Device, lab: Lab, package: Package) -> None:
    plan = plan_deploy(package.path, local, lab)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.name = "other"  # type: ignore[misc]
