"""For all tests: toy helpers importable from anywhere under ``tests``, no network, one thread's worth of work."""

from __future__ import annotations

import os

# Set before any library looks: a test that needs a download is a mistake, and must fail at once instead of waiting.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
