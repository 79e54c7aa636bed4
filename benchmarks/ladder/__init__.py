"""Made tasks of fusion with known ceilings, and networks of every kind on them."""
