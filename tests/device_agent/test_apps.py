"""Names and versions: the one rename that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgepack.device_agent import apps
from edgepack.device_agent.layout import WorkDir, open_work_dir

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = (digit * 64 for digit in "abc")


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    work = open_work_dir(str(tmp_path / "device"))
    for package_id in (A, B, C):
        (work.store / package_id).mkdir()
    return work


def test_a_crash_before_the_rename_changes_nothing(work: WorkDir, monkeypatch: pytest.MonkeyPatch) -> None:
    apps.activate(work, "x", A, runtime="system", previous=None)
    apps.activate(work, "x", B, runtime="system", previous=A)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(apps, "_point", crash)
        apps.activate(work, "x", C, runtime="other", previous=B)
    assert apps.current_id(work, "x") == B
    assert apps.version_note(work, "x", B) == {"runtime": "system", "previous": A}
    assert apps.used_ids(work) == {A, B}, "the version to go back to is still kept"


def test_notes_of_versions_that_are_gone_are_dropped(work: WorkDir) -> None:
    apps.activate(work, "x", A, runtime="system", previous=None)
    apps.activate(work, "x", B, runtime="system", previous=A)
    apps.activate(work, "x", C, runtime="system", previous=B)
    assert apps.version_note(work, "x", A) == {"runtime": None, "previous": None}
    assert apps.used_ids(work) == {B, C}


def test_a_link_that_leads_elsewhere_is_no_version(work: WorkDir) -> None:
    (work.apps / "x").mkdir()
    (work.apps / "x" / "current").symlink_to("/etc")
    assert apps.current_id(work, "x") is None
    assert apps.installed(work) == []


def test_a_damaged_store_is_listed_with_what_is_known(work: WorkDir) -> None:
    apps.activate(work, "x", A, runtime="system", previous=None)
    (work.store / A / "manifest.json").write_bytes(b"{")
    (listed,) = apps.installed(work)
    assert (listed["package_id"], listed["target"], listed["runtime"]) == (A, None, "system")


def test_a_work_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgepack.device_agent.errors import AgentError

    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(AgentError, match="belongs to user"):
        open_work_dir(str(tmp_path))
