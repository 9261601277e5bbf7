"""The device's own check of `manifest.json`, version 1, with nothing but the standard library.

The same promises as the host's `toolchain/packaging/manifest.py`, which is the definition: exact keys and
types, safe paths, bounded sizes, no two files of one path, every named file listed, canonical bytes. The
device does not rely on the host having checked: the host may be another version, or not edgepack at all.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import AgentError
from .protocol import NAME, SHA256

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any], bool]

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.json.sig"
MAX_MANIFEST_BYTES = 1 << 20
MAX_SIGNATURE_BYTES = 1 << 16
MAX_FILE_BYTES = 2 << 30
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 4 << 30
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,3}")
_DTYPES = ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")


@dataclass(frozen=True)
class Package:
    """A manifest that has passed every check.

    Attributes:
        package_id: SHA-256 of the manifest's bytes.
        manifest: The manifest's content.
    """

    package_id: str
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The package's name."""
        name: str = self.manifest["name"]
        return name

    @property
    def files(self) -> list[dict[str, Any]]:
        """Every file: `path`, `size_bytes`, `sha256`."""
        files: list[dict[str, Any]] = self.manifest["files"]
        return files


def parse_manifest(data: bytes) -> Package:
    """Check the bytes of a manifest.

    Raises:
        AgentError: `bad_package`, naming the key that is wrong.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise bad_package(f"manifest.json has {len(data)} bytes; at most {MAX_MANIFEST_BYTES} are allowed.")
    try:
        value = json.loads(data, parse_constant=_no_constant)
        canonical = (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode()
    except (ValueError, RecursionError) as err:
        raise bad_package(f"manifest.json is not JSON ({err}).") from err
    if not isinstance(value, dict) or value.get("schema_version") != 1:
        raise bad_package("manifest.json is not of schema_version 1, the one that this agent reads.")
    _check_object("manifest", value, _MANIFEST)
    _check_files(value)
    if canonical != data:
        raise bad_package("manifest.json is not in canonical form.")
    return Package(hashlib.sha256(data).hexdigest(), value)


def bad_package(message: str) -> AgentError:
    """Return the error for a package that is not what it should be."""
    return AgentError(
        "bad_package", message, "Build the package again with `edgepack build`, or fetch a good copy."
    )


def is_safe_path(value: Any) -> bool:
    """Return whether a path is relative, without `..`, of plain characters, and not too long."""
    return isinstance(value, str) and len(value) <= 255 and _PATH.fullmatch(value) is not None


def _no_constant(name: str) -> None:
    message = f"{name} is no JSON number"
    raise ValueError(message)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1024


def _is_number(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check, low: int, high: int) -> Check:
    return lambda value: isinstance(value, list) and low <= len(value) <= high and all(map(check, value))


def _object(keys: dict[str, Check]) -> Check:
    return lambda value: (
        isinstance(value, dict)
        and all(key in keys and keys[key](item) for key, item in value.items())
        and len(value) == len(keys)
    )


_TENSOR = _object(
    {
        "name": _is_text,
        "shape": _list_of(_whole(1, 1 << 31), 0, 8),
        "dtype": lambda value: value in _DTYPES,
        "layout": _maybe(_is_text),
        "scale": _maybe(_is_number),
        "zero_point": _maybe(_whole(-(1 << 31), 1 << 31)),
    }
)
_FILE = _object(
    {
        "path": lambda value: is_safe_path(value) and value not in (MANIFEST_NAME, SIGNATURE_NAME),
        "size_bytes": _whole(0, MAX_FILE_BYTES),
        "sha256": lambda value: isinstance(value, str) and SHA256.fullmatch(value) is not None,
    }
)
_PATHS = _list_of(is_safe_path, 0, 64)
_MANIFEST: dict[str, Check] = {
    "schema_version": _whole(1, 1),
    "name": _is_name,
    "target": _is_name,
    "precision": _is_text,
    "model": is_safe_path,
    "inputs": _list_of(_TENSOR, 1, 64),
    "outputs": _list_of(_TENSOR, 1, 64),
    "runtime": _object(
        {
            "kind": lambda value: value in ("litert", "tflite-runtime"),
            "min_version": lambda value: isinstance(value, str) and _VERSION.fullmatch(value) is not None,
        }
    ),
    "files": _list_of(_FILE, 1, MAX_FILES),
    "labels": _maybe(is_safe_path),
    "preprocessing": _maybe(lambda value: isinstance(value, dict)),
    "golden": _list_of(_object({"inputs": _PATHS, "outputs": _PATHS}), 1, 64),
    "golden_tolerance": _object(
        {
            "max_error": lambda value: _is_number(value) and value >= 0,
            "unit": lambda value: value in ("quantized_steps", "absolute"),
            "min_top1_agreement": _maybe(_is_share),
            "reason": lambda value: isinstance(value, str),
        }
    ),
    "evaluation": _maybe(
        _object(
            {
                "inputs": _PATHS,
                "labels": _maybe(is_safe_path),
                "count": _whole(1, 1_000_000),
                "metric": _is_text,
            }
        )
    ),
    "quality": _maybe(
        _object(
            {
                "metric": _maybe(_is_text),
                "float_value": _maybe(_is_number),
                "deployed_value": _maybe(_is_number),
                "count": _whole(0, 1 << 62),
                "output_sqnr_db": _maybe(_is_number),
                "top1_agreement": _maybe(_is_number),
            }
        )
    ),
    "provenance": lambda value: isinstance(value, dict),
}


def _check_object(where: str, value: dict[str, Any], keys: dict[str, Check]) -> None:
    if wrong := sorted(set(value) ^ set(keys)):
        kind = "unknown" if wrong[0] in value else "missing"
        raise bad_package(f"{where}.json: the key {wrong[0]!r} is {kind}.")
    for key, check in keys.items():
        if not check(value[key]):
            found = f"{value[key]!r:.160}"
            if isinstance(value[key], list):  # name the entry, not the whole list
                found = next((f"{entry!r:.160}" for entry in value[key] if not check([entry])), found)
            raise bad_package(f"{where}.json: '{key}' is not allowed: {found}.")


def _check_files(manifest: dict[str, Any]) -> None:
    paths = [entry["path"] for entry in manifest["files"]]
    if len({path.lower() for path in paths}) != len(paths):
        raise bad_package("manifest.json: two files have the same path.")
    evaluation = manifest["evaluation"] or {"inputs": [], "labels": None}
    named = [manifest["model"], manifest["labels"], evaluation["labels"], *evaluation["inputs"]]
    for case in manifest["golden"]:
        named += [*case["inputs"], *case["outputs"]]
        if (len(case["inputs"]), len(case["outputs"])) != (len(manifest["inputs"]), len(manifest["outputs"])):
            raise bad_package(
                "manifest.json: a golden case has another number of inputs or outputs than the model."
            )
    if absent := sorted({path for path in named if path} - set(paths)):
        raise bad_package(f"manifest.json: 'files' does not list {absent[0]!r}.")
    if sum(entry["size_bytes"] for entry in manifest["files"]) > MAX_TOTAL_BYTES:
        raise bad_package(f"manifest.json: the files together exceed {MAX_TOTAL_BYTES} bytes.")
    folders = {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    if folders & set(paths):
        raise bad_package("manifest.json: one path is both a file and a folder.")
