"""Publish the JSON Schemas of edgepack's formats.

    python -m edgepack.toolchain.results.json_schema docs/schemas

The classes are the source; the files in `docs/schemas` are written from them and checked by a test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.packaging.manifest import Manifest
from edgepack.toolchain.results.schema import RunRecord

if TYPE_CHECKING:
    from pydantic import BaseModel

_PUBLISHED: dict[str, type[BaseModel]] = {"manifest-v1.json": Manifest, "run-record-v1.json": RunRecord}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published_schemas() -> dict[str, str]:
    """Return each schema's file name and text."""
    return {name: _text(model) for name, model in _PUBLISHED.items()}


def write_schemas(folder: Path) -> None:
    """Write every schema to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in published_schemas().items():
        (folder / name).write_text(text, encoding="utf-8")


def _text(model: type[BaseModel]) -> str:
    schema = {"$schema": _DIALECT, **model.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
