"""A package as a device hands it out: nothing is taken that is not what its identity says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.deploy.inventory import Device
from edgepack.toolchain.deploy.messages import FileAnnounced
from edgepack.toolchain.errors import AgentError, MeasurementError, PackageError
from edgepack.toolchain.measure.device_package import DevicePackage, require_known_metric
from tests.toolchain.records import make_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Hostile:
    """A session with a device that hands out whatever a test says."""

    def __init__(self, files: dict[str, bytes], announced_bytes: int | None = None) -> None:
        self.device = Device(name="pi4", host="pi4.local")
        self._files = files
        self._announced_bytes = announced_bytes
        self._data = b""
        self.fetched = False

    def request(self, kind: str, answer: type[FileAnnounced], **fields: str) -> FileAnnounced:
        assert kind == "package.fetch"
        self._data = self._files[fields["path"]]
        size = self._announced_bytes or len(self._data)
        return answer(size_bytes=size, sha256=hashlib.sha256(self._data).hexdigest())

    def fetch(self, _size: int) -> Iterator[bytes]:
        self.fetched = True
        yield self._data


def session(files: dict[str, bytes], announced_bytes: int | None = None) -> Any:
    return Hostile(files, announced_bytes)


def test_reads_what_the_manifest_names() -> None:
    manifest = make_manifest()
    package = DevicePackage(session({"manifest.json": manifest.to_bytes()}), manifest.package_id)
    assert package.manifest == manifest
    with pytest.raises(KeyError):
        package.read("../../etc/passwd")


def test_another_manifest_is_refused() -> None:
    manifest = make_manifest()
    with pytest.raises(AgentError, match=r"hands out 'manifest\.json' of 000000000000 with SHA-256"):
        DevicePackage(session({"manifest.json": manifest.to_bytes()}), "0" * 64)


def test_a_changed_file_is_refused() -> None:
    manifest = make_manifest()
    entry = manifest.files[0]
    files = {"manifest.json": manifest.to_bytes(), entry.path: b"x" * entry.size_bytes}
    package = DevicePackage(session(files), manifest.package_id)
    with pytest.raises(AgentError, match=f"'{entry.path}'"):
        package.read(entry.path)


def test_a_size_is_refused_before_a_byte_is_read() -> None:
    hostile = session({"manifest.json": b"{}"}, announced_bytes=1 << 40)
    with pytest.raises(AgentError, match="1099511627776 bytes; at most"):
        DevicePackage(hostile, "0" * 64)
    assert not hostile.fetched


def test_what_is_no_manifest_is_refused() -> None:
    data = b"[]"
    with pytest.raises(PackageError):
        DevicePackage(session({"manifest.json": data}), hashlib.sha256(data).hexdigest())


def test_a_device_does_not_choose_which_code_runs_here() -> None:
    manifest = make_manifest()
    assert manifest.evaluation is not None
    evaluation = manifest.evaluation.model_copy(update={"metric": "os:system"})
    hostile = manifest.model_copy(update={"evaluation": evaluation})
    with pytest.raises(MeasurementError, match="your own 'os:system'") as caught:
        require_known_metric(hostile, None)
    assert "--no-accuracy" in caught.value.remedy
    require_known_metric(hostile, "os:system")
    require_known_metric(manifest, None)
