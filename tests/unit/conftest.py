"""How long a property is tried: shortly here, so that these tests stay quick, and at length under CI."""

from __future__ import annotations

import os

from hypothesis import settings

# Under CI hypothesis takes a profile of its own, of 100 examples.
settings.register_profile("quick", max_examples=25)
if not os.environ.get("CI"):
    settings.load_profile("quick")
