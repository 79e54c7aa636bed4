"""The parts of ``registration_linear.py``: cases, tools, a ledger, tables."""
