r"""Decode the stream of ST's power shields X-NUCLEO-LPM01A and STM32L562E-DK.

`ascii_dec`, a line a sample:
    6409-07                        6409 x 10^-7 A, or J
    TimeStamp: 12s 300ms, buff 02% the shield's clock, now and then
    end                            the acquisition is over
`bin_hexa`, two bytes a sample: 4 bits of a negative power of 16, 12 bits of value; 52A0 is 0x2A0 x 16^-5.
Between them, F0 and a code, ended by FF FF:
    F1 text (error)   F2 text (information)   F3 time in ms (4 bytes), buffer load (1 byte)   F4 end
    F5 overcurrent    F6 power off            F7 voltage in mV (2 bytes)

Source: ST UM2269 "Getting started with PowerShield firmware", chapters on data formats and metadata.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SAMPLE = re.compile(rb"(\d{4})([+-])(\d{2})")
_TIME = re.compile(rb"timestamp\D{0,8}(\d{1,9})\s*s\D{1,4}(\d{1,3})\s*ms", re.IGNORECASE)
_MOST_PENDING_BYTES = 4096
_META = 0xF0
_META_SIZES = {0xF3: 5, 0xF4: 0, 0xF5: 0, 0xF6: 0, 0xF7: 2}
_END = b"\xff\xff"


@dataclass
class Decoded:
    """What a chunk of the stream held.

    Attributes:
        values: Amperes or joules, in order.
        times_ms: (number of values before it, the shield's clock in ms) of each time stamp.
        damaged: Samples that could not be read.
        error: What the shield reported, or None.
        over: Whether the acquisition ended.
    """

    values: list[float] = field(default_factory=list)
    times_ms: list[tuple[int, int]] = field(default_factory=list)
    damaged: int = 0
    error: str | None = None
    over: bool = False


class AsciiDecoder:
    """Decode `ascii_dec`."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes) -> Decoded:
        """Return what the whole lines in `data` hold."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"").replace(b"\0", b"").split(b"\n")
        self._rest = self._rest[-_MOST_PENDING_BYTES:]
        decoded = Decoded()
        for line in lines:
            self._line(line.strip(), decoded)
        return decoded

    def _line(self, line: bytes, decoded: Decoded) -> None:
        sample = _SAMPLE.fullmatch(line)
        if sample:
            power = int(sample[3]) * (1 if sample[2] == b"+" else -1)
            decoded.values.append(int(sample[1]) * 10.0**power)
            return
        stamp = _TIME.search(line)
        if stamp:
            decoded.times_ms.append((len(decoded.values), int(stamp[1]) * 1000 + int(stamp[2])))
        elif line[:1].isdigit():
            decoded.damaged += 1
        elif line.lower().startswith(b"error") or b"overcurrent" in line.lower():
            decoded.error = line.decode("ascii", "replace")[:200]
        elif line == b"end" or b"Acquisition completed" in line:
            decoded.over = True


class BinaryDecoder:
    """Decode `bin_hexa`."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes) -> Decoded:
        """Return what the whole samples and messages in `data` hold."""
        data = self._rest + data
        decoded = Decoded()
        at = 0
        while at + 1 < len(data):
            first, second = data[at], data[at + 1]
            if first == _META and second >= _META:
                after = self._message(data, at + 2, second, decoded)
                if after is None:
                    break
                at = after
            elif first >= _META:
                decoded.damaged += 1
                at += 1
            else:
                decoded.values.append(((first & 0x0F) << 8 | second) * 16.0 ** -(first >> 4))
                at += 2
        self._rest = data[at:][-_MOST_PENDING_BYTES:]
        return decoded

    def _message(self, data: bytes, start: int, code: int, decoded: Decoded) -> int | None:
        """Take in a message; return where the stream goes on, or None while it is not whole."""
        if code in _META_SIZES:
            end = start + _META_SIZES[code]
            if len(data) < end + 2:
                return None
            if data[end : end + 2] != _END:
                decoded.damaged += 1
                return start
        else:
            end = data.find(_END, start)
            if end < 0:
                return None
        body = data[start:end]
        if code == 0xF3:
            decoded.times_ms.append((len(decoded.values), int.from_bytes(body[:4], "big") & 0x7FFFFFFF))
        elif code == 0xF1:
            decoded.error = body.decode("ascii", "replace").strip("\0\r\n ")[:200]
        elif code == 0xF5:
            decoded.error = "overcurrent"
        elif code == 0xF4:
            decoded.over = True
        return end + 2
