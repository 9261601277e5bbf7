"""Who may sign: the file that `ssh-keygen` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.device_agent.conftest import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_agent.conftest import Agent, BuiltPackage, Key


def test_set_and_get(agent: Agent, key: Key, other_key: Key) -> None:
    text = f"# two people\n{key.allowed_signers}\n{other_key.allowed_signers}"
    assert agent.ask("trust.set", allowed_signers=text)["signers"] == 2
    assert agent.ask("trust.get")["allowed_signers"] == text


def test_a_new_device_trusts_nobody(start_agent: Callable[..., Agent], tmp_path: object) -> None:
    agent = start_agent(work=tmp_path / "fresh")
    assert agent.ask("trust.get")["allowed_signers"] == ""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{name},other {options} {key}", None),
        ("!bob,{name} {options} {key}", None),
        ("*@example.org {key}", None),
        ("{name} {key}", None),
        ('{name} namespaces="git" {key}', "untrusted_signer"),
        ('{name} valid-before="20200101" {key}', "untrusted_signer"),
        ('{name} valid-after="20990101" {key}', "untrusted_signer"),
    ],
)
def test_what_a_line_allows(
    agent: Agent, key: Key, package: BuiltPackage, line: str, code: str | None
) -> None:
    _, options, *words = key.allowed_signers.split()
    text = line.format(name="tester", options=options, key=" ".join(words))
    agent.ask("trust.set", allowed_signers=f"{text}\n")
    agent.upload(package)
    if code is None:
        assert agent.install(package)["package_id"] == package.package_id
        return
    with pytest.raises(AgentError) as caught:
        agent.install(package)
    assert caught.value.code == code


def test_a_device_without_ssh_keygen(
    agent_file: object,
    blank_device: object,
    package: BuiltPackage,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
) -> None:
    from edgepack.device_agent import trust
    from edgepack.device_agent.errors import AgentError as Refused
    from edgepack.device_agent.layout import open_work_dir

    monkeypatch.setattr(trust, "find_ssh_keygen", lambda: None)
    with pytest.raises(Refused) as caught:
        trust.verify_signature(open_work_dir(str(tmp_path / "w")), package.manifest, package.signature)
    assert caught.value.code == "missing_tool"
