"""Power sensors: how many joules a window of time cost, from whatever this machine has or is cabled to.

    registry.choose("auto") -> sensor;  sensor.begin();  ... work ...;  sensor.end() -> POWER value

Rules:
    * One small class or function a sensor, each citing the ABI document, datasheet or protocol it implements.
    * A source only delivers samples (`source.py`); one place integrates them (`integrate.py`) and one place
      decides whether the sum can be trusted (`value.py`). What cannot be trusted is `unavailable` with the
      reason: never 0, never a guess.
    * The standard library only. A sensor is read, never configured, unless its own settings say so.
"""
