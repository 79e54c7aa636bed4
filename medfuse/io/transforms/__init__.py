"""Transform files: one file a format, found by content; these two verbs are the door."""

from medfuse.io.transforms.dispatch import read_transform, write_transform

__all__ = ["read_transform", "write_transform"]
