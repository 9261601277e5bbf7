"""What the libraries in a wheel need from the device's system, read from the libraries themselves.

A wheel's tag is a promise that is not always kept: the ai-edge-litert 2.3.0 wheel for aarch64 says glibc 2.27
and needs 2.34, the tflite-runtime 2.14.0 wheel says 2.34 and needs 2.27. The dynamic linker goes by symbol
versions, so they are what is compared here.

Source: ELF gABI and the Linux Standard Base, "Symbol Versioning" (`.gnu.version_r`).
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.toolchain.deploy.facts import Facts

_LIBRARY = re.compile(r"\.so(\.\d+)*$")
# The module that the Interpreter imports. What other modules of a runtime's wheel need (converters, GPU
# plug-ins) does not keep a device from running a model.
_ROOT = "interpreter_wrapper"
_FAMILIES = ("GLIBC", "GLIBCXX", "CXXABI")
_MAX_LIBRARY_BYTES = 512 << 20


@dataclass(frozen=True)
class Need:
    """What one library needs.

    Attributes:
        library: Its file name.
        family: "GLIBC", "GLIBCXX", "CXXABI", or "page size" (in bytes).
        version: The newest version that it needs, such as "2.34"; the largest page size that it allows.
    """

    library: str
    family: str
    version: str


@dataclass(frozen=True)
class _Library:
    needed: tuple[str, ...]
    versions: dict[str, str]
    align_bytes: int


def needs_of(wheel: Path) -> tuple[Need, ...]:
    """Return what a wheel's libraries need, one entry for each family: the largest.

    Raises:
        DeployError: The wheel or a library in it cannot be read.
    """
    from elftools.common.exceptions import ELFError

    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [info for info in archive.infolist() if _LIBRARY.search(info.filename)]
            libraries = {
                PurePosixPath(info.filename).name: _read_library(archive.read(info))
                for info in names
                if info.file_size <= _MAX_LIBRARY_BYTES
            }
    except (zipfile.BadZipFile, OSError, ELFError, ValueError, KeyError) as err:
        message = f"{wheel}: cannot be read ({err})."
        raise DeployError(message, remedy=f"Remove {wheel.parent} and deploy again.") from err
    return tuple(_largest(libraries))


def misfit(needs: tuple[Need, ...], facts: Facts) -> str | None:
    """Return why a device cannot load libraries with these needs; None where nothing speaks against it.

    A fact that the device could not tell speaks against nothing: the agent loads the runtime once anyway.
    """
    stdcxx = facts.libstdcxx
    offered = {
        "GLIBC": facts.libc.version if facts.libc.kind == "glibc" else None,
        "GLIBCXX": stdcxx.glibcxx if stdcxx else None,
        "CXXABI": stdcxx.cxxabi if stdcxx else None,
    }
    for need in needs:
        if need.family == "page size":
            if facts.page_bytes and facts.page_bytes > int(need.version):
                return (
                    f"{need.library} allows pages of {need.version} bytes, the device has {facts.page_bytes}"
                )
            continue
        has = offered[need.family]
        if has and version_key(need.version) > version_key(has):
            return f"{need.library} needs {need.family}_{need.version}; the device has {need.family}_{has}"
    return None


def version_key(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing, up to the first part that is none."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _largest(libraries: dict[str, _Library]) -> Iterator[Need]:
    used = {name: libraries[name] for name in _closure(libraries)}
    for family in _FAMILIES:
        having = [name for name, library in used.items() if family in library.versions]
        if having:
            name = max(having, key=lambda name: version_key(used[name].versions[family]))
            yield Need(name, family, used[name].versions[family])
    if used:
        name = min(used, key=lambda name: used[name].align_bytes)
        yield Need(name, "page size", str(used[name].align_bytes))


def _closure(libraries: dict[str, _Library]) -> set[str]:
    """Return the libraries that the interpreter loads: its own module and what that asks for; or all."""
    todo = [name for name in libraries if _ROOT in name] or list(libraries)
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [needed for needed in libraries[name].needed if needed in libraries]
    return found


def _read_library(data: bytes) -> _Library:
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection

    needed: list[str] = []
    names: list[str] = []
    elf = ELFFile(io.BytesIO(data))
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            needed += [tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
        elif isinstance(section, GNUVerNeedSection):
            names += [version.name for _, versions in section.iter_versions() for version in versions]
    align_bytes = max((segment["p_align"] for segment in elf.iter_segments("PT_LOAD")), default=4096)
    return _Library(tuple(needed), _newest(names), align_bytes)


def _newest(names: list[str]) -> dict[str, str]:
    """Return the newest version of each family among names such as "GLIBC_2.34"."""
    newest: dict[str, str] = {}
    for name in names:
        family, _, version = name.partition("_")
        if family in _FAMILIES and version_key(version) > version_key(newest.get(family, "0")):
            newest[family] = version
    return newest
