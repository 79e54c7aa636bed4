"""The command line: ``app`` is the door, each command has a file of its own."""
