"""The power management chip of the Raspberry Pi 5, asked through the firmware's `vcgencmd pmic_read_adc`.

The chip reports current and voltage of each rail that it makes; their products are summed. What it cannot
see: the 5 V that go past it (USB ports, HATs, fan, the PCIe and camera connectors' 5 V) and its own loss. The
input voltage EXT5V_V has no current beside it and is left out, so is BATT_V.

An answer looks like this, one line a value:
       3V7_WL_SW_A current(0)=0.00195186A
         EXT5V_V volt(24)=5.15100000V

Source: Raspberry Pi documentation, "vcgencmd", `pmic_read_adc`; github.com/raspberrypi/utils, vcgencmd.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Callable

from .found import Found
from .sampler import SampledSource
from .source import NoReadingError, SensorGoneError, Traits
from .vcio import Firmware

if TYPE_CHECKING:
    from pathlib import Path

    from .roots import Roots

_NAME = "rpi-pmic"
_COVERS = (
    "all rails that the power management chip makes (processor, memory, 3.3 V, 1.8 V, HDMI, WLAN); "
    "not the 5 V of USB ports, HATs and fan, nor the chip's own loss"
)
_COMMAND = "pmic_read_adc"
_TIMEOUT_S = 2
# An answer is under 2 KB.
_MOST_CHARS = 16_384
_INTERVAL_NS = 20_000_000
_LINE = re.compile(
    r"^\s*(\w{1,32})_([AV])\s+(current|volt)\(\d{1,3}\)=(\d{1,4}(?:\.\d{1,12})?)([AV])\s*$", re.M
)


def parse_rails(answer: str) -> dict[str, tuple[float, float]]:
    """Return the rails of an answer that have both values: name -> (volts, amperes).

    Raises:
        ValueError: No rail has both.
    """
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, suffix, quantity, number, unit in _LINE.findall(answer[:_MOST_CHARS]):
        if suffix == unit == ("A" if quantity == "current" else "V"):
            values[unit][rail] = float(number)
    rails = {
        rail: (values["V"][rail], amperes) for rail, amperes in values["A"].items() if rail in values["V"]
    }
    if not rails:
        first = answer.strip().splitlines()[:1]
        message = f"no rail with a current and a voltage in the firmware's answer {first}"
        raise ValueError(message)
    return rails


def find(roots: Roots) -> list[Found]:
    """Return the chip where the firmware's tool is installed; unusable, with the reason, where it says no."""
    tool = next((path for path in roots.vcgencmd if path.exists()), None)
    if tool is None:
        return []
    reason = remedy = None
    try:
        parse_rails(_run(tool))
    except (SensorGoneError, NoReadingError, ValueError) as err:
        reason = str(err)
        if "vcio" in reason or "ermission" in reason:
            remedy = "Let the user ask the firmware: `sudo usermod -aG video $USER`, then log in again."
        elif "not registered" in reason:
            reason = "this Raspberry Pi cannot measure currents; Raspberry Pi 5 and later can"
    return [Found(_NAME, _NAME, str(tool), _COVERS, lambda: _source(roots, tool), reason, remedy)]


def _source(roots: Roots, tool: Path) -> SampledSource:
    """Return a source that asks the firmware directly where that works: it costs a hundredth of a program."""
    firmware = Firmware(roots.dev / "vcio")
    try:
        parse_rails(firmware.ask(_COMMAND))
    except (OSError, ValueError):
        firmware.close()
        return SampledSource(
            _reader(lambda: _run(tool)), Traits(), interval_ns=_INTERVAL_NS, runs_program=True
        )
    return SampledSource(
        _reader(lambda: firmware.ask(_COMMAND)), Traits(), interval_ns=_INTERVAL_NS, close=firmware.close
    )


def _reader(ask: Callable[[], str]) -> Callable[[], float]:
    def read() -> float:
        try:
            rails = parse_rails(ask())
        except ValueError as err:
            raise NoReadingError(str(err)) from err
        return sum(volts * amperes for volts, amperes in rails.values())

    return read


def _run(tool: Path) -> str:
    try:
        done = subprocess.run(
            [str(tool), _COMMAND],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as err:
        message = f"{tool} gave no answer within {_TIMEOUT_S} s"
        raise NoReadingError(message) from err
    except OSError as err:
        message = f"{tool} cannot be run: {err.strerror}"
        raise SensorGoneError(message) from err
    answer = done.stdout.decode("ascii", "replace")
    if done.returncode or "error" in answer:
        said = (done.stderr.decode("utf-8", "replace").strip() or answer.strip())[:200]
        message = f"{tool.name} {_COMMAND}: {said or f'exit status {done.returncode}'}"
        raise SensorGoneError(message)
    return answer
