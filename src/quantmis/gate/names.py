"""Names of versions as people write them: spaces and the order of parameters mean nothing."""

import ast


def same_name(one: str, other: str) -> bool:
    """Return whether two spellings name one version.

    >>> same_name('uniform(bits=4, per="channel")', "uniform(per='channel',bits = 4)")
    True
    """
    return one == other or _plain(one) == _plain(other)


def _plain(name: str) -> str:
    try:
        node = ast.parse(name.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return name  # a name of another kind is compared as it is
    if isinstance(node, ast.Call):
        node.keywords.sort(key=lambda word: str(word.arg))
    return ast.dump(node)
