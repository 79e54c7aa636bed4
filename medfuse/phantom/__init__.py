"""Heads made in code, as six scanners see them, with everything known about them."""
