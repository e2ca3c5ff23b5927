"""Names of versions as people write them: spaces and the order of parameters mean nothing, int8 what it stands for."""

import ast

from quantmis.shorthand import written_out
from quantmis.tables import FULL_PRECISION

BASELINE = "full precision"
"""What tables and reports call the version without quantization."""


def same_name(one: str, other: str) -> bool:
    """Return whether two spellings name one version.

    >>> same_name('uniform(bits=4, per="channel")', "uniform(per='channel',bits = 4)")
    True
    >>> same_name("int8", 'uniform(bits=8, per="channel")'), same_name("full precision", "identity")
    (True, True)
    """
    return one == other or _plain(_written_out(one)) == _plain(_written_out(other))


def _written_out(name: str) -> str:
    """Return the name that results have of what people call so."""
    return FULL_PRECISION if name.strip().lower() == BASELINE else written_out(name)


def _plain(name: str) -> str:
    try:
        node = ast.parse(name.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return name  # a name of another kind is compared as it is
    if isinstance(node, ast.Call):
        node.keywords.sort(key=lambda word: str(word.arg))
    return ast.dump(node)
