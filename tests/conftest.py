"""What all tests share: Hypothesis without deadlines, for shared machines stop without warning."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("edgepack", deadline=None)
settings.load_profile("edgepack")
