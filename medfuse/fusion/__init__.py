"""Segment with whatever is there: one interface, four levels of fusion, any subset of scans."""
