"""Files in and out: ``volumes`` and ``studies`` are the doors, the other modules one format each."""
