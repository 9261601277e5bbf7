"""Names that kernels have for the linker: the name in C, and a hash of everything that decides what it does.

Two models compiled by one edgepack call kernels of one name and content, so a program that links both holds
each kernel once. Two made by different versions call different names: they can be linked together, and a
mistake (the kernels of one left out) is an error of the linker and not a wrong answer.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

HEADER = "ep_symbols.h"
_NAME = re.compile(r"\bep_\w+")
_DIGITS = 8


def needed_kernels(called: Iterable[str], folder: Path) -> dict[str, str]:
    """Return every kernel that some kernels need, themselves first of all: name to its C text, sorted.

    Args:
        called: The kernels that a model calls.
        folder: Where `<kernel>.c` lies for each kernel.
    """
    texts: dict[str, str] = {}
    pending = sorted(set(called))
    while pending:
        name = pending.pop()
        texts[name] = (folder / f"{name}.c").read_text(encoding="utf-8")
        named = set(_NAME.findall(texts[name])) - texts.keys()
        pending += sorted(other for other in named if (folder / f"{other}.c").is_file())
    return dict(sorted(texts.items()))


def symbol_header(kernels: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return `ep_symbols.h`: a macro a kernel.

    Args:
        kernels: Name of each kernel to its C text.
        headers: Name of each header that they include to its text.
    """
    shared = "".join(headers[name] for name in sorted(headers) if name != HEADER)
    lines = [
        "/* Names of the kernels for the linker: a hash of its text ends each, so that models made by one",
        " * edgepack share their kernels, and models made by different ones cannot mix them up. */",
        "#ifndef EP_SYMBOLS_H",
        "#define EP_SYMBOLS_H",
        "",
        *(f"#define {name} {name}_{_hash(shared + text)}" for name, text in kernels.items()),
        "",
        "#endif /* EP_SYMBOLS_H */",
    ]
    return "\n".join(lines) + "\n"


def plain_name(symbol: str) -> str:
    """Return the name in C of a kernel's symbol."""
    return re.sub(rf"_[0-9a-f]{{{_DIGITS}}}$", "", symbol)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
