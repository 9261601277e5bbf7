"""Runs from a file: what `edgepack report` and `bench` write, a baseline, or another tool's result.

Rules:
    * What a file is, its content says, not its name. It may be gzipped.
    * A file is hostile until checked: its size is bounded before and after decompression, every record passes
      the schema.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, NoReturn

from edgepack.toolchain.errors import MeasurementError
from edgepack.toolchain.results.foreign import parse_foreign
from edgepack.toolchain.results.schema import parse_run_record

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.toolchain.results.change import AnyRun

MAX_FILE_BYTES = 256 << 20
_MAX_RECORDS = 1000
_GZIP = b"\x1f\x8b"


def read_runs(path: Path) -> list[AnyRun]:
    """Return the runs in a file, in its order.

    Raises:
        MeasurementError: The file cannot be read, is too large, or holds no runs.
    """
    source = str(path)
    data = _read(path)
    if (foreign := parse_foreign(data, source=source)) is not None:
        return [foreign]
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as err:
        _refuse(f"{source} is neither JSON nor a result of benchmark_model", err)
    records = _records(value)
    if not records:
        _refuse(f"{source} holds no run")
    if len(records) > _MAX_RECORDS:
        _refuse(f"{source} holds {len(records)} runs; at most {_MAX_RECORDS} are read")
    if len(records) == 1:
        return [parse_run_record(json.dumps(records[0]), source=source)]
    return [
        parse_run_record(json.dumps(record), source=f"{source}, run {index}")
        for index, record in enumerate(records, start=1)
    ]


def _records(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    """Return the records in a document: a list, `{"records": […]}`, `{"runs": […]}`, or a record itself."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return []
    for key in ("records", "runs"):
        if isinstance(value.get(key), list) and "run_id" not in value:
            return list(value[key])
    return [value] if "run_id" in value else []


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            _refuse(f"There is no file {path}" if not path.exists() else f"{path} is not a file")
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            _refuse(f"{path} has {size_bytes} bytes; at most {MAX_FILE_BYTES} are read")
        data = path.read_bytes()
    except OSError as err:
        _refuse(f"{path} cannot be read ({err.strerror})", err)
    return _inflated(data, path) if data.startswith(_GZIP) else data


def _inflated(data: bytes, path: Path) -> bytes:
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = inflate.decompress(data, MAX_FILE_BYTES)
    except zlib.error as err:
        _refuse(f"{path} is damaged: {err}", err)
    if not inflate.eof:
        what = "more than that" if inflate.unconsumed_tail else "cut short"
        _refuse(f"{path} is gzipped: {len(text)} bytes were read, and it is {what}")
    return text


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    message = f"{what}."
    remedy = (
        "Name a file of `edgepack report --json`, of `edgepack compare RUN --save-baseline FILE`, or of "
        "benchmark_model or litert-benchmark."
    )
    raise MeasurementError(message, remedy=remedy) from cause
