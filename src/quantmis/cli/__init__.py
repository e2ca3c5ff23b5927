"""The command `quantmis`: data to stdout, progress and errors to stderr; exit code 2 where it could not run.

Each command is one file of this folder, with the function of its name, and is imported when it is asked for; what is
heavy is imported inside that function, so that `--help` answers at once.
"""

from quantmis.cli.app import app, main

__all__ = ["app", "main"]
