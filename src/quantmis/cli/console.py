"""Where commands print tables: as wide as the terminal, and wide where nobody sees them at once."""

from rich.console import Console

NARROWEST = 140
"""Columns of what goes into a pipe or a file: names and numbers stay whole."""


def console() -> Console:
    """Return what prints to stdout."""
    own = Console()
    return own if own.is_terminal else Console(width=max(own.width, NARROWEST))
