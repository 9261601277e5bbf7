"""What flash tools take, from a linked ELF: raw binary, Intel HEX, UF2.

Source: Tool Interface Standard ELF 1.2 (program headers); Intel Hexadecimal Object File Format, revision A;
    Microsoft, "USB Flashing Format (UF2)", github.com/microsoft/uf2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from edgepack.converters.errors import CompilerError

if TYPE_CHECKING:
    from pathlib import Path

_HEX_ROW = 16
_UF2_PAYLOAD = 256
_UF2_BLOCK = 512
_UF2_START = (0x0A324655, 0x9E5D5157)
_UF2_END = 0x0AB16F30
_UF2_HAS_FAMILY = 0x2000
_MAX_GAP_BYTES = 64 << 20


def load_segments(elf: Path) -> list[tuple[int, bytes]]:
    """Return what an ELF puts into flash: (address, content), sorted, without what is empty in the file."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        segments = [
            (int(segment["p_paddr"]), bytes(segment.data()))
            for segment in ELFFile(file).iter_segments("PT_LOAD")
            if segment["p_filesz"]
        ]
    return sorted(_without_headers(segments))


def to_bin(segments: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Return the start address and one run of bytes, with 0xFF (erased flash) between the segments."""
    start = segments[0][0]
    end = max(address + len(data) for address, data in segments)
    if end - start > _MAX_GAP_BYTES:
        message = f"The image spans {end - start} bytes of addresses, too many for one binary."
        raise CompilerError(message, remedy="Check the flash regions of the target's file.")
    image = bytearray(b"\xff" * (end - start))
    for address, data in segments:
        image[address - start : address - start + len(data)] = data
    return start, bytes(image)


def to_hex(segments: list[tuple[int, bytes]]) -> str:
    """Return Intel HEX, with the upper half of the address written wherever it changes."""
    lines, upper = [], -1
    for begin, data in segments:
        position = 0
        while position < len(data):
            address = begin + position
            if address >> 16 != upper:
                upper = address >> 16
                lines.append(_hex_record(0, 4, upper.to_bytes(2, "big")))
            size = min(_HEX_ROW, len(data) - position, 0x10000 - (address & 0xFFFF))
            lines.append(_hex_record(address & 0xFFFF, 0, data[position : position + size]))
            position += size
    return "\n".join([*lines, ":00000001FF"]) + "\n"


def to_uf2(segments: list[tuple[int, bytes]], family: int) -> bytes:
    """Return UF2 blocks of 256 bytes, each at a multiple of 256.

    Args:
        segments: What `load_segments` returned.
        family: The chip's family id.
    """
    pages: dict[int, bytearray] = {}
    for begin, data in segments:
        for offset, byte in enumerate(data):
            address = begin + offset
            page = pages.setdefault(address & ~(_UF2_PAYLOAD - 1), bytearray(b"\xff" * _UF2_PAYLOAD))
            page[address % _UF2_PAYLOAD] = byte
    blocks = []
    for number, address in enumerate(sorted(pages)):
        head = struct.pack(
            "<8I", *_UF2_START, _UF2_HAS_FAMILY, address, _UF2_PAYLOAD, number, len(pages), family
        )
        filler = bytes(_UF2_BLOCK - len(head) - _UF2_PAYLOAD - 4)
        blocks.append(head + bytes(pages[address]) + filler + struct.pack("<I", _UF2_END))
    return b"".join(blocks)


def _without_headers(segments: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Drop a segment that holds nothing but the ELF's own headers, as some linkers write one."""
    return [(address, data) for address, data in segments if not data.startswith(b"\x7fELF")]


def _hex_record(address: int, kind: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{body.hex().upper()}{-sum(body) & 0xFF:02X}"
