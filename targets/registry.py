"""Which targets there are, and how a name finds one.

Rules:
    * A board is one file in `boards/`; adding the file adds the target. Nothing else lists them.
    * Look-up, in this order: a path (it holds a "/" or ends in ".toml"), an exact name, an alias, a prefix of
      one name only. Else an error with the candidates.
    * A prefix never cuts a number in two: "cortex-m3" is not taken for "cortex-m33".
    * Cheap: the names are a folder listing, and only the files that are needed are read.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.targets.errors import TargetError, nearest
from edgepack.targets.schema import load_target

if TYPE_CHECKING:
    from edgepack.targets.model import Target

BOARDS = Path(__file__).with_name("boards")

_MAX_SHOWN = 60
_LIST = "List them with: edgepack targets"


def target_names() -> tuple[str, ...]:
    """Return the names of all shipped targets, sorted; reads no file."""
    return tuple(sorted(path.stem for path in BOARDS.glob("*.toml")))


def all_targets() -> tuple[Target, ...]:
    """Return all shipped targets, sorted by name.

    Raises:
        TargetError: A shipped file is damaged.
    """
    return tuple(_shipped(name) for name in target_names())


def find_target(name_or_path: str) -> Target:
    """Return the target that a user means.

    Args:
        name_or_path: A name, an alias, a prefix that only one target has, or the path of a board file. A path
            holds a "/" or ends in ".toml"; it is relative to the working folder.

    Returns:
        The target.

    Raises:
        TargetError: No target or several match, or the file is not a valid board file.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        return load_target(Path(name_or_path))
    names = target_names()
    if name_or_path in names:
        return _shipped(name_or_path)
    for target in all_targets():
        if name_or_path in target.aliases:
            return target
    matches = [name for name in names if _is_prefix(name_or_path, name)]
    if len(matches) == 1:
        return _shipped(matches[0])
    raise _ambiguous(name_or_path, matches) if matches else _unknown(name_or_path, names)


def ensure_buildable(target: Target) -> None:
    """Raise unless models can be built for the target.

    Raises:
        TargetError: edgepack can only inspect for this target; the message gives the reason.
    """
    if not target.buildable:
        message = f"Target '{target.name}' can be inspected but not built: {target.not_buildable_reason}"
        raise TargetError(
            message,
            remedy=f"See whether a model fits with: edgepack inspect MODEL --target {target.name}",
        )


@cache
def _shipped(name: str) -> Target:
    return load_target(BOARDS / f"{name}.toml")


def _is_prefix(prefix: str, name: str) -> bool:
    if not prefix or not name.startswith(prefix):
        return False
    return not (prefix[-1].isdigit() and name[len(prefix)].isdigit())


def _ambiguous(prefix: str, matches: list[str]) -> TargetError:
    message = f"Target '{prefix}' could be any of: {', '.join(matches)}."
    return TargetError(message, remedy=f"Write the whole name, such as {matches[0]}. {_LIST}")


def _unknown(name: str, names: tuple[str, ...]) -> TargetError:
    shown = repr(name) if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]!r}…"
    spellings = [*names, *(alias for target in all_targets() for alias in target.aliases)]
    hint = nearest(name[:_MAX_SHOWN], spellings)
    message = f"There is no target {shown}.{hint} Targets: {', '.join(names)}."
    return TargetError(message, remedy=f"{_LIST}. For a board file of your own, give its path: ./NAME.toml")
