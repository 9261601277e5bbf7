"""Publish the JSON Schemas of edgepack's formats.

The classes are the source; `make format` writes the files in `docs/schemas` from them, `make check` compares.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgepack.toolchain.packaging.manifest import Manifest
from edgepack.toolchain.results.schema import RunRecord

if TYPE_CHECKING:
    from pydantic import BaseModel

_PUBLISHED: dict[str, type[BaseModel]] = {"manifest-v1.json": Manifest, "run-record-v2.json": RunRecord}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published_schemas() -> dict[str, str]:
    """Return each schema's file name and text."""
    return {name: _text(model) for name, model in _PUBLISHED.items()}


def _text(model: type[BaseModel]) -> str:
    schema = {"$schema": _DIALECT, **model.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
