"""What every target keeps, beyond the types of its keys: a list of functions, one promise each.

Rules:
    * A promise takes the target and its table, and returns nothing or refuses a key with what was found and
      what is allowed.
    * A new rule is a new function in `PROMISES`, and a named case in the tests.

`schema.load_target` runs them all, on shipped boards and on a user's own file alike.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.targets.model import Target
    from edgepack.targets.table import Table

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def _name_is_well_formed(target: Target, root: Table) -> None:
    # The name becomes part of file names on the host and on the device.
    if not _NAME.fullmatch(target.name):
        expected = "at most 64 of a-z, 0-9, '-', '_' and '.', starting with a letter or digit"
        root.refuse("name", repr(target.name), expected)


def _name_is_the_file_name(target: Target, root: Table) -> None:
    # A copied file whose name was not changed would be taken for the board it was copied from.
    if target.name != root.file.stem:
        root.refuse("name", repr(target.name), f"{root.file.stem!r}, the name of the file")


def _aliases_are_well_formed(target: Target, root: Table) -> None:
    for i, alias in enumerate(target.aliases):
        if not _NAME.fullmatch(alias) or alias == target.name:
            root.refuse(f"aliases[{i}]", repr(alias), "a name in lower case that is not the target's own")


def _default_precision_is_offered(target: Target, root: Table) -> None:
    if target.default_precision not in target.precisions:
        allowed = ", ".join(target.precisions) or "an entry of precisions, which is empty"
        root.refuse("default_precision", repr(target.default_precision), f"one of precisions: {allowed}")


def _reason_goes_with_not_buildable(target: Target, root: Table) -> None:
    if target.buildable and target.not_buildable_reason is not None:
        root.refuse("not_buildable_reason", "given", "buildable = false beside it, or no reason")
    if not target.buildable and target.not_buildable_reason is None:
        root.refuse("not_buildable_reason", "missing", "the reason in plain words, as buildable = false")


def _images_are_of_microcontrollers_with_memory(target: Target, root: Table) -> None:
    if target.firmware is None:
        return
    if target.family != "mcu":
        root.refuse("firmware", "given", f"no such table for family '{target.family}'")
    for kind in ("flash", "ram"):
        if not any(r.kind == kind and r.address is not None and r.size_bytes for r in target.memory):
            root.refuse(
                "memory", f"without {kind} of known address and size", f"one region of {kind} at least"
            )


def _runtime_fits_family(target: Target, root: Table) -> None:
    if (target.family == "mcu") != (target.runtime.kind == "mcu"):
        expected = "'mcu'" if target.family == "mcu" else "'litert' or 'tflite-runtime'"
        root.refuse("runtime.kind", repr(target.runtime.kind), f"{expected} for family '{target.family}'")


def _wheel_platform_fits_arch(target: Target, root: Table) -> None:
    expected = None if target.runtime.kind == "mcu" else f"linux_{target.arch}"
    found = target.runtime.wheel_platform
    if found != expected:
        root.refuse(
            "runtime.wheel_platform",
            "missing" if found is None else repr(found),
            f"{expected!r} for arch '{target.arch}'"
            if expected
            else "no such key: family 'mcu' uses no wheels",
        )


def _memory_names_are_unique(target: Target, root: Table) -> None:
    names = [region.name for region in target.memory]
    for i, name in enumerate(names):
        if name in names[:i]:
            root.refuse(f"memory[{i}].name", f"{name!r} again", "a name that no other region has")


def _memory_has_ram(target: Target, root: Table) -> None:
    # `inspect` compares a model with the memory it may use; a bare core has none of its own.
    if target.family != "mcu" and not any(region.kind == "ram" for region in target.memory):
        root.refuse("memory", "without a region of kind 'ram'", "one at least (its size may be left out)")


def _addresses_are_of_microcontrollers(target: Target, root: Table) -> None:
    for i, region in enumerate(target.memory):
        if region.address is not None and target.family != "mcu":
            root.refuse(f"memory[{i}].address", "given", f"no address for family '{target.family}'")


def _memory_does_not_overlap(target: Target, root: Table) -> None:
    placed = [
        (r.address, r.address + r.size_bytes, r.name)
        for r in target.memory
        if r.address is not None and r.size_bytes
    ]
    placed.sort()
    for (_, end, name), (start, _, other) in pairwise(placed):
        if start < end:
            root.refuse(
                "memory", f"'{name}' up to {end - 1:#x} and '{other}' from {start:#x}", "regions apart"
            )


PROMISES: tuple[Callable[[Target, Table], None], ...] = (
    _name_is_well_formed,
    _name_is_the_file_name,
    _aliases_are_well_formed,
    _default_precision_is_offered,
    _reason_goes_with_not_buildable,
    _images_are_of_microcontrollers_with_memory,
    _runtime_fits_family,
    _wheel_platform_fits_arch,
    _memory_names_are_unique,
    _memory_has_ram,
    _addresses_are_of_microcontrollers,
    _memory_does_not_overlap,
)
