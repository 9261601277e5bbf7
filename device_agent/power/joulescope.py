"""Joulescope JS220 and JS110, through their maker's library `pyjoulescope_driver`.

The instrument integrates energy at its full rate (1 MHz and more) and reports its counters, fifty times a
second here (a JS110 twice a second); only their difference is used. Blocks must follow each other without a
gap: what is missing counts as lost.

Source: joulescope_driver documentation, "Statistics": `time.samples` is [first, last) in native sample ids,
`time.sample_freq` their rate, `accumulators.energy` the joules since the instrument was opened.
"""

from __future__ import annotations

import importlib
import importlib.util
import site
import sys
import time
from typing import TYPE_CHECKING, Any

from .clock_map import ClockMap
from .found import Found
from .source import JOULES, Traits

if TYPE_CHECKING:
    from .samples import Samples
    from .settings import Settings

_LIBRARY = "pyjoulescope_driver"
_BLOCK_HZ = 50
_NATIVE_HZ = 2_000_000
_JS220_SAMPLES_A_SECOND = 1_000_000
_FIRST_SAMPLE_TIMEOUT_S = 5.0
_COVERS = "everything behind the Joulescope's output terminals"
_REMEDY = "Install the library where the meter is cabled: `pip install 'edgepack[meters]'`."


class JoulescopeSource:
    """The instrument's energy counter.

    Args:
        settings: Serial number, where several are plugged in.
    """

    def __init__(self, settings: Settings) -> None:
        self._serial = settings.serial
        self.traits = Traits(
            JOULES,
            resolution_j=1e-9,
            lag_ns=0,
            late_ns=1_000_000_000,
            max_dropped_share=0.001,
        )
        self._driver: Any = None
        self._path = ""
        self._clock = ClockMap()
        self._last_id: int | None = None

    def start(self, samples: Samples) -> None:
        """Open the instrument unless it runs; return once a block is in or cannot be had."""
        if self._driver is not None or samples.fault:
            return
        try:
            self._open(samples)
        except Exception as err:
            samples.fail(f"the Joulescope cannot be opened: {err}")
            return
        if not samples.wait_for(0, _FIRST_SAMPLE_TIMEOUT_S):
            samples.fail(f"the Joulescope sent nothing within {_FIRST_SAMPLE_TIMEOUT_S:.0f} s")

    def rest(self) -> None:
        """Go on: the instrument costs this machine next to nothing."""

    def objection(self, from_ns: int, to_ns: int, joules: float) -> str | None:
        """Return None: lost blocks are counted already."""

    def close(self) -> None:
        """Stop the statistics and let go of the instrument."""
        if self._driver is None:
            return
        driver, self._driver = self._driver, None
        try:
            if "js220" in self._path:
                driver.publish(f"{self._path}/s/stats/ctrl", 0)
            driver.close(self._path)
        finally:
            driver.finalize()

    def take(self, value: dict[str, Any], arrived_ns: int, samples: Samples) -> None:
        """Store the energy counter at the end of a block of statistics."""
        try:
            first, last = (int(one) for one in value["time"]["samples"]["value"])
            rate_hz = float(value["time"].get("sample_freq", {}).get("value") or _NATIVE_HZ)
            joules = float(value["accumulators"]["energy"]["value"])
        except (KeyError, TypeError, ValueError, AttributeError):
            samples.drop(arrived_ns)
            return
        if self._last_id is not None and first > self._last_id:
            samples.drop(arrived_ns, -(-(first - self._last_id) // max(last - first, 1)))
        self._last_id = last
        device_ns = round(last / rate_hz * 1e9)
        self._clock.observe(device_ns, arrived_ns)
        samples.add(self._clock.monotonic_ns(device_ns), joules)

    def _open(self, samples: Samples) -> None:
        driver = _library().Driver()
        paths = [path for path in driver.device_paths() if not self._serial or path.endswith(self._serial)]
        if len(paths) != 1:
            driver.finalize()
            found = ", ".join(paths) or "none"
            message = f"one instrument expected, {found} found; name its `serial` in lab.toml"
            raise OSError(message)
        self._driver, self._path = driver, paths[0]
        driver.open(self._path)

        def on_block(_topic: str, value: dict[str, Any]) -> None:
            self.take(value, time.monotonic_ns(), samples)

        if "js220" in self._path:
            driver.publish(f"{self._path}/s/i/range/mode", "auto")
            driver.publish(f"{self._path}/s/stats/scnt", _JS220_SAMPLES_A_SECOND // _BLOCK_HZ)
            driver.publish(f"{self._path}/s/stats/ctrl", 1)
            driver.subscribe(f"{self._path}/s/stats/value", "pub", on_block)
        else:
            driver.publish(f"{self._path}/s/i/range/select", "auto")
            driver.subscribe(f"{self._path}/s/sstats/value", "pub", on_block)


def find(settings: Settings) -> list[Found]:
    """Return the instrument, where the settings name one."""
    if settings.kind != "joulescope":
        return []
    reason = None if _is_installed() else f"the library {_LIBRARY} is not installed"
    path = settings.serial or "usb"
    remedy = _REMEDY if reason else None
    return [
        Found("joulescope", "joulescope", path, _COVERS, lambda: JoulescopeSource(settings), reason, remedy)
    ]


def _is_installed() -> bool:
    _see_site_packages()
    return importlib.util.find_spec(_LIBRARY) is not None


def _library() -> Any:
    _see_site_packages()
    return importlib.import_module(_LIBRARY)


def _see_site_packages() -> None:
    """Add the interpreter's site-packages: the agent runs without them (`-S`), the library lies in them."""
    if sys.flags.no_site and importlib.util.find_spec(_LIBRARY) is None:
        site.main()
