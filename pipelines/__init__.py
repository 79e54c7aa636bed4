"""What a user starts: the command line, a case, a page. The command is ``medfuse``."""
