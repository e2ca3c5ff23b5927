"""What the names in a file of weights are called in a model."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Rename = Callable[[str], str]

WRAPPERS = ("module.", "_orig_mod.", "model._orig_mod.")
"""What DataParallel and torch.compile put before the names of weights."""


def mapping(own: Collection[str], stored: Sequence[str], rename: Mapping[str, str] | Rename | None) -> Rename:
    """Return what a name of the file is called in a model whose names are `own`.

    As `rename` says, or with one prefix less or more where that makes all of them fit.

    >>> mapping(["fc.weight", "fc.bias"], ["model.fc.weight", "model.fc.bias"], None)("model.fc")
    'fc'
    """
    if callable(rename):
        return rename
    if rename is not None:
        return lambda name: rename.get(name, name)
    for prefix in _prefixes(stored):
        if all(name.startswith(prefix) and name.removeprefix(prefix) in own for name in stored):
            return lambda name: name.removeprefix(prefix)
    for prefix in _prefixes(sorted(own)):
        if all(f"{prefix}{name}" in own for name in stored):
            return lambda name: f"{prefix}{name}"
    return lambda name: name


def wrapped(names: Iterable[str]) -> str | None:
    """Return how to take off what wrappers put before the names of weights; None where none did.

    >>> wrapped(["module.fc.weight"])
    "they were saved from inside of a wrapper: take 'module.' off their names, as name.removeprefix('module.') does"
    """
    own = list(names)
    before = next((each for each in WRAPPERS if own and any(name.startswith(each) for name in own)), None)
    how = f"take {before!r} off their names, as name.removeprefix({before!r}) does"
    return None if before is None else f"they were saved from inside of a wrapper: {how}"


def _prefixes(names: Sequence[str]) -> list[str]:
    """Return what the first name begins with, none first, up to each of its dots."""
    first = names[0] if names else ""
    dots = [place + 1 for place, letter in enumerate(first) if letter == "."]
    return ["", *(first[:place] for place in dots)]
