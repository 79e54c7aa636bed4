"""The commands are typed as in the end-to-end tests."""

from tests.end_to_end.conftest import answers, medfuse, scans

__all__ = ["answers", "medfuse", "scans"]
