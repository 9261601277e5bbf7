"""The device's own check of a manifest: it and the host's schema accept and refuse the same."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.package import is_safe_path, parse_manifest
from edgepack.toolchain.errors import PackageError
from edgepack.toolchain.packaging import manifest as host

if TYPE_CHECKING:
    from tests.device_agent.conftest import BuiltPackage


def canonical(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def device_refuses(data: bytes) -> str | None:
    try:
        parse_manifest(data)
    except AgentError as err:
        assert err.code == "bad_package"
        assert err.remedy
        return err.message
    return None


def host_refuses(data: bytes) -> str | None:
    try:
        host.parse_manifest(data, source="test")
    except PackageError as err:
        return err.message
    return None


def test_a_good_manifest(package: BuiltPackage) -> None:
    parsed = parse_manifest(package.manifest)
    assert (
        parsed.package_id
        == package.package_id
        == host.parse_manifest(package.manifest, source="x").package_id
    )
    assert parsed.manifest == package.value


WRONG: list[tuple[str, Any]] = [
    ("schema_version", 2),
    ("schema_version", True),
    ("name", "Upper"),
    ("name", ""),
    ("name", "../x"),
    ("name", "a" * 65),
    ("name", "a\n"),
    ("target", "-x"),
    ("precision", 8),
    ("model", "other.tflite"),
    ("model", "../model.tflite"),
    ("labels", "/etc/passwd"),
    ("labels", 0),
    ("inputs", []),
    ("inputs.0.shape", [0, 8]),
    ("inputs.0.shape", [1.0, 8]),
    ("inputs.0.shape", [True, 8]),
    ("inputs.0.shape", [1] * 9),
    ("inputs.0.dtype", "complex64"),
    ("inputs.0.scale", "1"),
    ("inputs.0.more", 1),
    ("outputs", {}),
    ("runtime.kind", "torch"),
    ("runtime.min_version", "2.x"),
    ("runtime.min_version", "2.3\n"),
    ("files", []),
    ("files.0.path", "../../etc/cron.d/x"),
    ("files.0.path", "/etc/cron.d/x"),
    ("files.0.path", "a//b"),
    ("files.0.path", "a/./b"),
    ("files.0.path", ".hidden"),
    ("files.0.path", "a\\b"),
    ("files.0.path", "a\0b"),
    ("files.0.path", "a\n"),
    ("files.0.path", "manifest.json"),
    ("files.0.path", "manifest.json.sig"),
    ("files.0.path", "é"),
    ("files.0.path", "a" * 256),
    ("files.0.size_bytes", -1),
    ("files.0.size_bytes", (2 << 30) + 1),
    ("files.0.size_bytes", 1.0),
    ("files.0.size_bytes", True),
    ("files.0.sha256", "0" * 63),
    ("files.0.sha256", "A" * 64),
    ("files.0.sha256", "0" * 64 + "\n"),
    ("files.0.mode", 0o777),
    ("golden", []),
    ("golden.0.inputs", []),
    ("golden.0.outputs", ["nowhere.bin"]),
    ("golden_tolerance.max_error", -1.0),
    ("golden_tolerance.max_error", "0"),
    ("golden_tolerance.unit", "percent"),
    ("golden_tolerance.min_top1_agreement", 1.5),
    ("evaluation.count", 0),
    ("evaluation.inputs", ["nowhere.bin"]),
    ("quality", []),
    ("provenance", None),
    ("extra", 1),
]


def changed(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    value = copy.deepcopy(value)
    *parents, last = path.split(".")
    inner: Any = value
    for part in parents:
        inner = inner[int(part)] if isinstance(inner, list) else inner[part]
    inner[last] = new
    return value


@pytest.mark.parametrize(("path", "new"), WRONG)
def test_what_the_host_refuses_the_device_refuses(package: BuiltPackage, path: str, new: Any) -> None:
    data = canonical(changed(package.value, path, new))
    assert host_refuses(data)
    message = device_refuses(data)
    assert message
    assert path.partition(".")[0] in message or "listed" in message or "list" in message


def test_every_key_is_needed(package: BuiltPackage) -> None:
    for key in package.value:
        data = canonical({name: value for name, value in package.value.items() if name != key})
        assert host_refuses(data)
        assert key in (device_refuses(data) or "")


def test_two_files_of_one_path(package: BuiltPackage) -> None:
    for path in ("model.tflite", "MODEL.tflite"):
        twin = {**package.value["files"][0], "path": path}
        data = canonical({**package.value, "files": [*package.value["files"], twin]})
        assert host_refuses(data)
        assert "same path" in (device_refuses(data) or "")


def test_a_file_that_is_also_a_folder(package: BuiltPackage) -> None:
    twin = {**package.value["files"][0], "path": "model.tflite/x"}
    data = canonical({**package.value, "files": [*package.value["files"], twin]})
    assert "both a file and a folder" in (device_refuses(data) or "")


def test_too_much_in_all(package: BuiltPackage) -> None:
    extra = [{"path": f"big{index}", "size_bytes": 2 << 30, "sha256": "0" * 64} for index in range(2)]
    data = canonical({**package.value, "files": [*package.value["files"], *extra]})
    assert host_refuses(data)
    assert "exceed" in (device_refuses(data) or "")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data.replace(b"\n ", b"\n  ", 1),
        lambda data: data.replace(b'"name": "dense"', b'"name": "other",\n "name": "dense"'),
        lambda data: data.replace(b"0.0001", b"1e-4"),
        lambda data: data.replace(b"0.0001", b"NaN"),
        lambda data: data.replace(b"0.0001", b"1e999"),
        lambda data: data.replace(b"dense", b"d\\u0065nse"),
        lambda data: data[: len(data) // 2],
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"[" * 100_000,
        lambda data: b"null\n",
        lambda data: b"",
        lambda data: b" " * ((1 << 20) + 1),
    ],
)
def test_only_canonical_bytes(package: BuiltPackage, spoil: Any) -> None:
    data = spoil(package.manifest)
    assert data != package.manifest
    assert host_refuses(data)
    assert device_refuses(data)


@given(st.text(alphabet="ab./-_\\é\0 ~A", max_size=12))
@settings(max_examples=200, deadline=None)
def test_paths_are_judged_alike(path: str) -> None:
    assert is_safe_path(path) == host.is_safe_path(path) or path.endswith("\n")


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_value_anywhere_is_judged_alike(package: BuiltPackage, data: st.DataObject) -> None:
    """Put an arbitrary JSON value in an arbitrary place: the device takes no more than the host."""
    paths = [path for path, _ in WRONG] + ["quality", "preprocessing", "labels", "evaluation", "provenance"]
    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    bad = canonical(changed(package.value, data.draw(st.sampled_from(paths)), data.draw(json_values)))
    if host_refuses(bad):
        assert device_refuses(bad)
