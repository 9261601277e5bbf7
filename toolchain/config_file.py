"""TOML file -> checked, frozen value. Every configuration file of the host side passes through here.

Rules:
    * An error names the file and the key, says what was found and what is allowed, and suggests the nearest
      valid key or value.
    * A configuration file is hostile until checked: its size is bounded, unknown keys are errors.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edgepack.targets.errors import nearest
from edgepack.toolchain.errors import ProjectError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

MAX_CONFIG_BYTES = 1 << 20


class Section(BaseModel):
    """A table of a configuration file: frozen, and every key must be known."""

    # Deferred: the outermost section's validator is built on first use and holds those of its parts.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


SectionT = TypeVar("SectionT", bound=Section)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ProjectError: The file cannot be read, is larger than 1 MiB, or is not TOML.
    """
    try:
        size = path.stat().st_size
        if size > MAX_CONFIG_BYTES:
            message = f"{path}: {size} bytes; a configuration file has at most {MAX_CONFIG_BYTES}."
            raise ProjectError(message, remedy="Name a TOML file written by `edgepack init`.")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        message = f"{path}: cannot be read ({err.strerror})."
        raise ProjectError(message, remedy="Run `edgepack init` to write one, or name another file.") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        message = f"{path}: not valid TOML: {err}."
        raise ProjectError(message, remedy="Correct the line that the message names.") from err


def validate(value: dict[str, Any], model: type[SectionT], *, path: Path) -> SectionT:
    """Return `value`, read from `path`, as the checked `model`.

    Raises:
        ProjectError: A key is unknown, missing or has a wrong value; names the file and the key.
    """
    try:
        return model.model_validate(value)
    except ValidationError as err:
        raise _explain(err.errors()[0], model, path) from err


def _explain(error: ErrorDetails, model: type[Section], path: Path) -> ProjectError:
    """Turn pydantic's first complaint into an error that names the file, the key and a remedy."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _known_keys(model, error["loc"][:-1])
        key = str(error["loc"][-1])
        return ProjectError(
            f"{path}: unknown key '{where}'.{nearest(key, known)}",
            remedy=f"Allowed here: {', '.join(sorted(known))}." if known else "Remove the key.",
        )
    if error["type"] == "missing":
        return ProjectError(f"{path}: the key '{where}' is missing.", remedy=f"Add '{where}' to {path}.")
    found = error.get("input")
    hint = ""
    if error["type"] == "literal_error" and isinstance(found, str):
        allowed = [part.strip("' ") for part in str(error["ctx"]["expected"]).replace(" or ", ",").split(",")]
        hint = nearest(found, allowed)
    reason = error["msg"].removeprefix("Value error, ").rstrip(".")
    return ProjectError(
        f"{path}: {where}: {reason}; found {found!r}.{hint}", remedy=f"Correct '{where}' in {path}."
    )


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are allowed at a location inside a model."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(str(part))
        current = _section_in(field.annotation) if field else None
    return list(current.model_fields) if current else []


def _section_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type annotation
    """Return the first section class inside an annotation such as `list[Section] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _section_in(argument):
            return found
    return None
