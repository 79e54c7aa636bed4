"""What all tests share: where the real scans lie, and property tests that do not wander."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# several tests run at a time: threads that wait for each other's cores are slower than one
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans, from MEDFUSE_TEST_DATA; the test is skipped without it."""
    folder = Path(os.environ.get("MEDFUSE_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real scans: MEDFUSE_TEST_DATA ({folder}) is not a folder")
    return folder
