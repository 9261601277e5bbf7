from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.deploy import transfer
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.transfer import (
    Blob,
    Missing,
    Need,
    _joined,
    blob_of_bytes,
    blob_of_file,
    find_missing,
    push,
    push_blobs,
)
from edgepack.toolchain.errors import AgentError, NetworkError, PackageError
from tests.sshd import Sshd, needs_sshd

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.inventory import Device, Lab


def blob(data: bytes) -> Blob:
    return blob_of_bytes(hashlib.sha256(data).hexdigest(), data)


def stored(device: Device, blob: Blob) -> bytes:
    return (Path(device.work_dir) / "blobs" / blob.sha256).read_bytes()


def test_only_what_is_missing_is_sent(local: Device, lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    file = blob_of_file(hashlib.sha256(b"from a file").hexdigest(), tmp_path / "file", 11)
    first, second, empty = blob(b"first"), blob(b"second" * 1000), blob(b"")
    steps: list[tuple[str, int, int]] = []
    with open_session(local, lab) as session:
        assert push_blobs(session, [first, file, first]) == 16
        sent = push_blobs(session, [first, second, file, empty], report=lambda *step: steps.append(step))
        assert sent == second.size_bytes
        assert find_missing(session, [first, second, file, empty]).missing == ()
        assert push_blobs(session, [first, second, empty]) == 0
    assert steps[-1] == ("push", second.size_bytes, second.size_bytes)
    assert stored(local, second) == b"second" * 1000
    assert stored(local, file) == b"from a file"
    assert stored(local, empty) == b""


def test_more_than_one_request_holds(local: Device, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_BLOBS_PER_REQUEST", 30)
    blobs = [blob(b"%d" % number) for number in range(100)]
    with open_session(local, lab) as session:
        assert push_blobs(session, blobs) == sum(each.size_bytes for each in blobs)
        assert find_missing(session, blobs).missing == ()


@pytest.mark.parametrize("size_bytes", [4, 2_000_000])
@pytest.mark.parametrize("change", [-1, 1])
def test_source_that_changed(local: Device, lab: Lab, size_bytes: int, change: int) -> None:
    odd = Blob("0" * 64, size_bytes, lambda: (b"x" * (size_bytes + change),))
    with open_session(local, lab) as session, pytest.raises(PackageError, match="were announced"):
        push_blobs(session, [odd])
    with open_session(local, lab) as session:  # nothing of it counts
        assert [missing.blob for missing in find_missing(session, [odd]).missing] == [odd]


def test_wrong_content_is_refused_and_the_rest_kept(local: Device, lab: Lab) -> None:
    good, wrong = blob(b"good"), Blob("0" * 64, 5, lambda: (b"wrong",))
    with open_session(local, lab) as session:
        with pytest.raises(AgentError) as caught:
            push_blobs(session, [wrong, good])
        assert caught.value.code == "hash_mismatch"
        assert [missing.blob.sha256 for missing in find_missing(session, [wrong, good]).missing] == ["0" * 64]


def test_full_disk_is_told_before_anything_is_sent(local: Device, lab: Lab) -> None:
    with open_session(local, lab) as session:
        big = Blob("1" * 64, 1 << 20, lambda: ())
        with pytest.raises(AgentError, match="the disk has 1000 free") as caught:
            push(session, Need((Missing(big, 0),), free_bytes=1000))
    assert caught.value.code == "disk_full"


@needs_sshd
def test_upload_that_is_cut_goes_on_where_it_ended(sshd: Sshd, tmp_path: Path) -> None:
    """All processes of the login are killed in the middle of the transfer; the next push sends the rest."""
    data = random.Random(1).randbytes(24 << 20)
    whole, small = blob(data), blob(b"small")
    device = sshd.device(work_dir=str(tmp_path / "work"))
    part = tmp_path / "work" / "blobs" / f"{whole.sha256}.part"

    def cut(_stage: str, done: int, _total: int) -> None:
        if done > 12 << 20 and part.exists() and part.stat().st_size > 1 << 20:
            sshd.cut_sessions()

    with (
        pytest.raises(NetworkError, match=r"link to .* failed") as caught,
        open_session(device, sshd.lab()) as session,
    ):
        push_blobs(session, [small, whole], report=cut)
    assert "nothing is sent twice" in caught.value.remedy
    arrived = part.stat().st_size
    assert 1 << 20 < arrived < len(data)
    with open_session(device, sshd.lab()) as session:
        need = find_missing(session, [whole, small])
        assert {missing.blob.sha256: missing.offset_bytes for missing in need.missing} == {
            whole.sha256: arrived
        }
        assert push(session, need) == len(data) - arrived
    assert stored(device, whole) == data


@needs_sshd
def test_damaged_part_heals(sshd: Sshd, tmp_path: Path) -> None:
    device = sshd.device(work_dir=str(tmp_path / "work"))
    whole = blob(os.urandom(100_000))
    with open_session(device, sshd.lab()) as session:
        part = tmp_path / "work" / "blobs" / f"{whole.sha256}.part"
        part.write_bytes(b"\0" * 50_000)
        with pytest.raises(AgentError) as caught:
            push_blobs(session, [whole])
        assert caught.value.code == "hash_mismatch"
        assert push_blobs(session, [whole]) == 100_000


@given(
    contents=st.lists(st.tuples(st.binary(max_size=3000), st.integers(1, 700), st.floats(0, 1)), max_size=8),
)
def test_joined_streams_are_the_announced_bytes(contents: list[tuple[bytes, int, float]]) -> None:
    group, expected = [], b""
    for data, chunk, share in contents:
        offset = int(len(data) * share)
        pieces = [data[start : start + chunk] for start in range(0, len(data), chunk)]
        group.append(Missing(Blob("0" * 64, len(data), lambda pieces=pieces: pieces), offset))
        expected += data[offset:]
    assert b"".join(_joined(group)) == expected
    assert sum(missing.left_bytes for missing in group) == len(expected)
