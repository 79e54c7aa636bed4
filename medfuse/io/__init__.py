"""Files in and out: ``volumes`` and ``studies`` are the doors, behind them one file a format."""
