"""Where the bytes of an image go: flash and RAM by part, from the symbols of the linked ELF.

A local symbol belongs to the C file that the symbol table names before it, a global one to the object that
defines it. What no symbol accounts for (padding, merged constants) is "other".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SHF_ALLOC = 2
_START = ("start_cortex_m", "start_riscv", "console_semihosting", "console_none", "memory", "self_test")
_WEIGHTS = ("weights", "biases")


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image.

    Attributes:
        flash: Part to bytes: "weights", "channel constants", "operator constants", "kernels", "model code",
            "start-up and self test", "golden input and output", "compiler's library", "other".
        arena_bytes: The model's arena.
        static_bytes: Variables besides the arena.
    """

    flash: Mapping[str, int]
    arena_bytes: int
    static_bytes: int

    @property
    def flash_bytes(self) -> int:
        """Everything in flash."""
        return sum(self.flash.values())

    @property
    def delivered_bytes(self) -> int:
        """Everything in flash but the golden input and output."""
        return self.flash_bytes - self.flash.get("golden input and output", 0)


def sizes_of(elf: Path, name: str, folder: Path) -> Sizes:
    """Return where the bytes of an image go.

    Args:
        elf: The image.
        name: The model's prefix.
        folder: Where its objects lie.
    """
    from elftools.elf.elffile import ELFFile

    owners = {symbol: path.stem for path in folder.rglob("*.o") for symbol in _globals(path)}
    parts: dict[str, int] = {}
    arena = 0
    with elf.open("rb") as file:
        image = ELFFile(file)
        sections = [s for s in image.iter_sections() if s["sh_flags"] & _SHF_ALLOC and s["sh_size"]]
        stored = {index for index, s in enumerate(image.iter_sections()) if s["sh_type"] != "SHT_NOBITS"}
        total = sum(s["sh_size"] for s in sections if s["sh_type"] != "SHT_NOBITS")
        variable = sum(s["sh_size"] for s in sections if s["sh_flags"] & 1)  # SHF_WRITE
        seen: set[int] = set()
        for symbol, stem, index, address, size in _symbols(image, owners):
            if symbol == "ep_arena":
                arena = size
            if index in stored and address not in seen:
                seen.add(address)
                part = _part(symbol, stem, name)
                parts[part] = parts.get(part, 0) + size
    parts["other"] = total - sum(parts.values())
    return Sizes(dict(sorted(parts.items())), arena, variable - arena)


def _part(symbol: str, stem: str | None, name: str) -> str:
    if stem == name:
        return "model code" if symbol.startswith(name) else _constants(symbol)
    if stem is None:
        return "compiler's library"
    if stem in _START or stem.startswith("boot_"):
        return "start-up and self test"
    if stem == "ep_golden":
        return "model code" if symbol.startswith("ep_model_") else "golden input and output"
    return "kernels" if stem.startswith("ep_") else "compiler's library"


def _constants(symbol: str) -> str:
    if symbol.endswith(_WEIGHTS):
        return "weights"
    return "channel constants" if symbol.endswith("channels") else "operator constants"


def _symbols(
    image: Any,  # noqa: ANN401 - elftools has no types
    owners: Mapping[str, str],
) -> Iterator[tuple[str, str | None, int, int, int]]:
    """Yield name, C file without its suffix, section, address and size of every function and object."""
    file: str | None = None
    table = image.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        kind, bind = symbol["st_info"]["type"], symbol["st_info"]["bind"]
        if kind == "STT_FILE":
            file = symbol.name.rpartition("/")[2].rpartition(".")[0] or None
        elif kind in ("STT_OBJECT", "STT_FUNC") and isinstance(symbol["st_shndx"], int) and symbol["st_size"]:
            owner = file if bind == "STB_LOCAL" else owners.get(symbol.name)
            yield symbol.name, owner, symbol["st_shndx"], symbol["st_value"] & ~1, symbol["st_size"]


def _globals(path: Path) -> Iterator[str]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        for symbol in table.iter_symbols() if table else ():
            if symbol["st_info"]["bind"] != "STB_LOCAL" and symbol["st_shndx"] != "SHN_UNDEF":
                yield symbol.name
