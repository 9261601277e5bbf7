"""Take readings on a fixed cadence from a thread that costs less than 1 % of one core.

Why a thread: while a model runs it does so in a child process; the job process that holds this thread only
waits for it. To what is measured the sampler is a process of its own.

The cadence. Ticks are timed, at first and all along: CPU time of this thread for waking up, reading and
storing, and of its children where a reading runs a program. The interval is the driver's own (10 ms for
sysfs) or, where that would cost more than `CPU_BUDGET` of a core, the time that makes it cost just that; for
files of the kernel at most 200 ms, which is too much only for an emulated processor. What ticks cost is the
lower quartile: the rest is time that other programs, or a hypervisor, took within them. The schedule is
monotonic: a late reading does not move the later ones, and ticks that were missed are counted as dropped.

A reading belongs to the middle of the time it took. One that took longer than two intervals belongs to no
known time and is dropped. A reading that never returns leaves its thread behind, and the source ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Callable

from .source import NoReadingError, SensorGoneError

if TYPE_CHECKING:
    from .samples import Samples
    from .source import Traits

CPU_BUDGET = 0.006
DEFAULT_INTERVAL_NS = 10_000_000
# A window of ten seconds has fifty readings at least.
LONGEST_FILE_INTERVAL_NS = 200_000_000
_CALIBRATION_TICKS = 5
_TICKS_BETWEEN_CHECKS = 20
# Waiting on an event can be cut short but costs as much as a reading; short waits are slept through.
_LONGEST_SLEEP_NS = 50_000_000
_READY_TIMEOUT_S = 5.0
_NICE = -10
_STOP_TIMEOUT_S = 2.0
# The bus was busy, or the conversion was not ready. The next reading may work.
_TRANSIENT = (errno.EAGAIN, errno.ENODATA, errno.EINTR, errno.EIO, errno.ETIMEDOUT, errno.EBUSY)


class SampledSource:
    """A source that asks a sensor for a reading, again and again.

    Args:
        read: Returns watts, or joules counted so far. Raises NoReadingError for one reading that failed and
            SensorGoneError for good; of the errors of the operating system, those that pass are the former.
        traits: What the arithmetic has to know.
        interval_ns: The shortest interval between readings.
        runs_program: Whether a reading runs a program, whose CPU time then counts too.
        calibrate: Whether to time some readings first; a slow sensor is far from the budget anyway.
        objection: What speaks against an energy of a window, or None.
        close: Lets go of the device.
    """

    def __init__(
        self,
        read: Callable[[], float],
        traits: Traits,
        *,
        interval_ns: int = DEFAULT_INTERVAL_NS,
        runs_program: bool = False,
        calibrate: bool = True,
        objection: Callable[[int, int, float], str | None] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._read = read
        self._traits = traits
        self._least_interval_ns = interval_ns
        self._interval_ns = interval_ns
        self._runs_program = runs_program
        self._objection = objection
        self._close = close
        self._calibrated = not calibrate
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._samples: Samples | None = None
        self.cpu_ns = 0

    @property
    def traits(self) -> Traits:
        """What the arithmetic has to know; samples come one interval late at most."""
        return replace(self._traits, late_ns=self._traits.late_ns + self._interval_ns)

    @property
    def interval_ns(self) -> int:
        """The interval between readings."""
        return self._interval_ns

    def start(self, samples: Samples) -> None:
        """Start the thread; return once the first reading is in, failed, or takes too long."""
        if self._thread is not None or samples.fault:
            return
        self._samples = samples
        self._stop.clear()
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, args=(samples,), name="power-sampler", daemon=True)
        self._thread.start()
        self._ready.wait(_READY_TIMEOUT_S)

    def rest(self) -> None:
        """Take one more reading and end the thread: between windows there is nothing to measure."""
        thread, self._thread = self._thread, None
        if thread is None or self._samples is None:
            return
        self._stop.set()
        thread.join(_STOP_TIMEOUT_S)
        if thread.is_alive():
            self._samples.fail(f"the sensor stalled: a reading has not come back for {_STOP_TIMEOUT_S:.0f} s")

    def objection(self, from_ns: int, to_ns: int, joules: float) -> str | None:
        """Return what speaks against an energy, or None."""
        return self._objection(from_ns, to_ns, joules) if self._objection else None

    def close(self) -> None:
        """Stop, and let go of the device."""
        self.rest()
        if self._close:
            self._close()

    def _run(self, samples: Samples) -> None:
        started_ns = time.thread_time_ns()
        _ask_for_precedence()
        try:
            self._calibrate()
            self._take(samples)
            self._ready.set()
            self._keep_taking(samples)
            self._take(samples)
        except SensorGoneError as err:
            samples.fail(str(err))
        except Exception as err:
            samples.fail(f"the sensor cannot be read any more: {str(err) or type(err).__name__}")
        finally:
            self._ready.set()
            self.cpu_ns += time.thread_time_ns() - started_ns

    def _keep_taking(self, samples: Samples) -> None:
        tick_ns = time.monotonic_ns()
        spent_ns, costs = self._spent_ns(), []
        while not self._stop.is_set():
            tick_ns += self._interval_ns
            tick_ns += self._skip_missed(samples, tick_ns)
            self._pause(tick_ns - time.monotonic_ns())
            if self._stop.is_set():
                return
            self._take(samples)
            now_ns = self._spent_ns()
            costs.append(now_ns - spent_ns)
            spent_ns = now_ns
            if len(costs) == _TICKS_BETWEEN_CHECKS:
                self._pace(costs)
                costs.clear()

    def _pause(self, pause_ns: int) -> None:
        if pause_ns > _LONGEST_SLEEP_NS:
            self._stop.wait(pause_ns / 1e9)
        elif pause_ns > 0:
            time.sleep(pause_ns / 1e9)

    def _pace(self, costs_ns: list[int]) -> None:
        """Choose the interval at which ticks of these costs stay within the budget."""
        cost_ns = sorted(costs_ns)[len(costs_ns) // 4]
        wanted_ns = max(self._least_interval_ns, int(cost_ns / CPU_BUDGET))
        longest_ns = None if self._runs_program else max(self._least_interval_ns, LONGEST_FILE_INTERVAL_NS)
        self._interval_ns = min(wanted_ns, longest_ns) if longest_ns else wanted_ns

    def _skip_missed(self, samples: Samples, tick_ns: int) -> int:
        """Count the ticks that are over already; return how far to move on."""
        late_ns = time.monotonic_ns() - tick_ns
        if late_ns < self._interval_ns:
            return 0
        missed = late_ns // self._interval_ns
        samples.drop(tick_ns, missed)
        return missed * self._interval_ns

    def _take(self, samples: Samples) -> None:
        before_ns = time.monotonic_ns()
        try:
            value = self._read()
        except NoReadingError as err:
            samples.drop(before_ns, why=str(err))
            return
        except OSError as err:
            if err.errno not in _TRANSIENT:
                raise SensorGoneError(_gone(err)) from err
            samples.drop(before_ns, why=f"{err.filename or 'reading'}: {err.strerror}")
            return
        after_ns = time.monotonic_ns()
        if after_ns - before_ns > 2 * self._interval_ns:
            samples.drop(before_ns)
        else:
            samples.add((before_ns + after_ns) // 2, value)

    def _calibrate(self) -> None:
        """Time some ticks and choose the interval; readings that fail are left to the loop."""
        if self._calibrated:
            return
        self._calibrated = True
        costs = []
        for _ in range(_CALIBRATION_TICKS):
            before_ns = self._spent_ns()
            with contextlib.suppress(NoReadingError, OSError):
                self._read()
            time.sleep(DEFAULT_INTERVAL_NS / 1e9)
            costs.append(self._spent_ns() - before_ns)
        self._pace(costs)

    def _spent_ns(self) -> int:
        spent_ns = time.thread_time_ns()
        if self._runs_program:
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent_ns += int((usage.ru_utime + usage.ru_stime) * 1e9)
        return spent_ns


def _ask_for_precedence() -> None:
    """Let this thread wake up on time while a model keeps every core busy, where the user may (root)."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _gone(err: OSError) -> str:
    if err.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"the sensor disappeared: {err.filename or err.strerror}"
    if err.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied: {err.filename or err.strerror}"
    return f"the sensor cannot be read any more: {err}"
