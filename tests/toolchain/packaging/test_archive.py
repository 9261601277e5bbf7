"""Packages are written the same every time, and a reader accepts nothing but a package."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.errors import PackageError, SignatureError
from edgepack.toolchain.packaging.archive import load_package, open_package, write_package
from edgepack.toolchain.packaging.zip_layout import END_BYTES, Entry, directory, local_header

SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"


@pytest.fixture
def package(tmp_path, manifest, files):
    return write_package(tmp_path / "fashion-rpi.epk", manifest, files, SIGNATURE)


def raw_archive(contents: list[tuple[str, bytes]]) -> bytes:
    """A well-formed archive of any contents, in the given order."""
    data, entries = b"", []
    for name, content in contents:
        entry = Entry(name, len(content), zlib.crc32(content), len(data))
        data += local_header(entry) + content
        entries.append(entry)
    return data + directory(entries)


def package_contents(manifest, files) -> dict[str, bytes]:
    return {**files, "manifest.json": manifest.to_bytes(), "manifest.json.sig": SIGNATURE}


def refused(tmp_path, data: bytes) -> PackageError:
    path = tmp_path / "bad.epk"
    path.write_bytes(data)
    with pytest.raises(PackageError) as caught, open_package(path) as opened:
        opened.verify_files()
    assert str(path) in caught.value.message
    assert caught.value.remedy
    return caught.value


def test_what_was_written_is_read(package, manifest, files):
    with open_package(package.path) as opened:
        assert opened.manifest == manifest
        assert opened.manifest_bytes == manifest.to_bytes()
        assert opened.signature == SIGNATURE
        assert opened.package_id == package.package_id == manifest.package_id
        assert {name: opened.read(name) for name in files} == files
        opened.verify_files()
    assert package.sha256 == hashlib.sha256(package.path.read_bytes()).hexdigest()
    assert load_package(package.path) == package


def test_same_inputs_give_the_same_bytes(tmp_path, package, manifest, files):
    source = tmp_path / "model"
    source.write_bytes(files["model.tflite"])
    os.utime(source, (0, 0))
    again = write_package(
        tmp_path / "again.epk",
        manifest,
        {"model.tflite": source, **{k: files[k] for k in reversed(files) if k != "model.tflite"}},
        SIGNATURE,
    )
    assert again.path.read_bytes() == package.path.read_bytes()


def test_any_unzip_program_reads_it(package, files):
    with zipfile.ZipFile(package.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted([*files, "manifest.json", "manifest.json.sig"])
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {stat.S_IFREG | 0o644}
        assert archive.read("model.tflite") == files["model.tflite"]


def test_wrong_content_is_not_written(tmp_path, manifest, files):
    path = tmp_path / "out" / "x.epk"
    with pytest.raises(PackageError, match=r"model\.tflite.*SHA-256"):
        write_package(path, manifest, {**files, "model.tflite": bytes(len(files["model.tflite"]))}, SIGNATURE)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_files_must_be_those_of_the_manifest(tmp_path, manifest, files, change):
    given_files = {**files, "extra.bin": b""} if change == "extra" else {"model.tflite": b""}
    with pytest.raises(PackageError, match="manifest"):
        write_package(tmp_path / "x.epk", manifest, given_files, SIGNATURE)


@pytest.mark.parametrize("signature", [b"", bytes(20_000)])
def test_unsigned_is_not_written(tmp_path, manifest, files, signature):
    with pytest.raises(SignatureError, match="unsigned"):
        write_package(tmp_path / "x.epk", manifest, files, signature)


def test_ctrl_c_leaves_the_old_package_and_nothing_else(tmp_path, package, manifest, files, monkeypatch):
    before = package.path.read_bytes()

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_package(package.path, manifest, files, SIGNATURE)
    assert package.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [package.path.name]


def test_missing_and_foreign_paths(tmp_path):
    with pytest.raises(PackageError, match="does not exist"), open_package(tmp_path / "no.epk"):
        pass
    with pytest.raises(PackageError, match="is not a file"), open_package(tmp_path):
        pass


@pytest.mark.parametrize("data", [b"", b"PK", b"hello" * 100, b"PK\3\4" + bytes(100)])
def test_not_a_zip(tmp_path, data):
    assert "not a" in refused(tmp_path, data).message


def test_data_around_the_zip(tmp_path, package):
    data = package.path.read_bytes()
    assert "data follows" in refused(tmp_path, data + b"x").message
    assert "data stands before" in refused(tmp_path, b"#!/bin/sh\n" + data).message
    assert "data is hidden" in refused(tmp_path, b"PK" + data).message
    assert "cut off" in refused(tmp_path, data[:-1]).message


def test_every_flipped_bit_is_found(tmp_path, package):
    """No byte of a package can change unnoticed: neither content, nor header, nor directory."""
    data = package.path.read_bytes()
    positions = [*range(0, len(data), 7), *range(len(data) - 400, len(data))]
    for position in positions:
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        path = tmp_path / "flipped.epk"
        path.write_bytes(changed)
        try:
            with open_package(path) as opened:
                opened.verify_files()
        except PackageError:
            continue
        pytest.fail(f"byte {position} changed unnoticed")


def test_compressed_entries_are_refused(tmp_path, manifest, files):
    path = tmp_path / "bomb.epk"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in package_contents(manifest, files).items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(tmp_path, path.read_bytes()).message


def test_a_plain_zip_is_refused(tmp_path, manifest, files):
    """Right content, but times and attributes that no package has."""
    path = tmp_path / "plain.epk"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(package_contents(manifest, files).items()):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    assert "no package has" in refused(tmp_path, path.read_bytes()).message


def test_links_are_refused(tmp_path):
    path = tmp_path / "link.epk"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("model.tflite")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "is a link" in refused(tmp_path, path.read_bytes()).message


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../b", "a//b", "a\\b", ".hidden", "a\nb", "a\n", "C:x", "a/"]
)
def test_unsafe_paths_are_refused(tmp_path, name):
    assert "unsafe path" in refused(tmp_path, raw_archive([(name, b"x")])).message


def test_missing_extra_and_double_entries(tmp_path, manifest, files):
    contents = package_contents(manifest, files)
    lacking = sorted((k, v) for k, v in contents.items() if k != "model.tflite")
    assert "lacks 'model.tflite'" in refused(tmp_path, raw_archive(lacking)).message
    extra = sorted([*contents.items(), ("zz", b"")])
    assert "holds 'zz', which its manifest does not name" in refused(tmp_path, raw_archive(extra)).message
    double = sorted([*contents.items(), ("model.tflite", b"evil")])
    assert "'model.tflite' is there twice" in refused(tmp_path, raw_archive(double)).message
    unsorted = [("model.tflite", b""), ("a", b"")]
    assert "must be sorted" in refused(tmp_path, raw_archive(unsorted)).message


def test_unsigned_package_is_a_signature_error(tmp_path, manifest, files):
    contents = package_contents(manifest, files)
    del contents["manifest.json.sig"]
    assert isinstance(refused(tmp_path, raw_archive(sorted(contents.items()))), SignatureError)


def test_wrong_size_and_content(tmp_path, manifest, files):
    contents = package_contents(manifest, files)
    longer = raw_archive(sorted({**contents, "model.tflite": files["model.tflite"] + b"x"}.items()))
    assert "expected 2564 bytes" in refused(tmp_path, longer).message
    other = raw_archive(sorted({**contents, "model.tflite": bytes(2564)}.items()))
    assert "SHA-256" in refused(tmp_path, other).message


def test_large_manifest_is_refused_before_it_is_read(tmp_path):
    archive = raw_archive([("manifest.json", bytes((1 << 20) + 1))])
    assert "at most 1048576 are allowed" in refused(tmp_path, archive).message


def test_header_that_disagrees_with_the_directory(tmp_path, package):
    data = bytearray(package.path.read_bytes())
    data[30:33] = b"xxx"  # the first local header's name
    assert "disagrees" in refused(tmp_path, bytes(data)).message


def test_absurd_end_records(tmp_path, package):
    data = package.path.read_bytes()
    end = list(struct.unpack("<4s4H2IH", data[-END_BYTES:]))
    zip64 = [*end]
    zip64[5] = zip64[6] = 0xFFFFFFFF
    assert "zip64" in refused(tmp_path, data[:-END_BYTES] + struct.pack("<4s4H2IH", *zip64)).message
    many = [*end]
    many[3] = many[4] = 65535
    assert "entries" in refused(tmp_path, data[:-END_BYTES] + struct.pack("<4s4H2IH", *many)).message


@given(st.binary(max_size=300))
def test_noise_never_raises_anything_else(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("noise") / "x.epk"
    for data in (noise, b"PK" + noise + directory([]), raw_archive([("manifest.json", noise)])):
        path.write_bytes(data)
        with pytest.raises(PackageError), open_package(path):
            pass


def test_unknown_name(package):
    with open_package(package.path) as opened, pytest.raises(PackageError, match="holds no file 'nope'"):
        opened.read("nope")


def test_two_streams_do_not_disturb_each_other(package, files):
    with open_package(package.path) as opened:
        streams = [opened.open(name) for name in files]
        assert [next(stream) for stream in streams] == list(files.values())


def test_umask_decides_who_may_read_it(tmp_path, manifest, files):
    old = os.umask(0o027)
    try:
        package = write_package(tmp_path / "x.epk", manifest, files, SIGNATURE)
    finally:
        os.umask(old)
    assert stat.S_IMODE(package.path.stat().st_mode) == 0o640
