"""What all tests share."""

from __future__ import annotations

import signal

from hypothesis import settings

# Shared machines stop without warning: a deadline would fail tests for that.
settings.register_profile("edgepack", deadline=None)
settings.load_profile("edgepack")

# A shell that starts the tests in the background has them, and all their children, ignore Ctrl-C; the
# tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
