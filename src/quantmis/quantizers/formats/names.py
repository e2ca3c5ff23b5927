"""Which part of a model a tensor of a file belongs to."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import nn

from quantmis.errors import require
from quantmis.models.weights import wrapped

Rename = Callable[[str], str]


def mapping(model: nn.Module, stored: Sequence[str], rename: Mapping[str, str] | Rename | None) -> Rename:
    """Return what a name of the file is called in `model`: as `rename` says, or with one prefix less or more.

    >>> mapping(nn.ModuleDict({"fc": nn.Linear(2, 2)}), ["model.fc.weight", "model.fc.bias"], None)("model.fc")
    'fc'
    """
    if callable(rename):
        return rename
    if rename is not None:
        return lambda name: rename.get(name, name)
    own = set(model.state_dict())
    for prefix in _prefixes(stored):
        if all(name.startswith(prefix) and name.removeprefix(prefix) in own for name in stored):
            return lambda name: name.removeprefix(prefix)
    for prefix in _prefixes(sorted(own)):
        if all(f"{prefix}{name}" in own for name in stored):
            return lambda name: f"{prefix}{name}"
    return lambda name: name


def require_known(model: nn.Module, layers: Sequence[str], path: str | Path) -> None:
    """Raise `UserError` unless `model` has all of the named layers."""
    own = {name for name, each in model.named_modules() if hasattr(each, "weight")}
    missing = [name for name in layers if name not in own]
    require(
        not missing,
        f"{path}: the model has no layers named {', '.join(missing)}",
        hint=wrapped(missing) or f"say with rename= what they are called; it has: {', '.join(sorted(own))}",
    )


def require_complete(model: nn.Module, stored: set[str], path: str | Path) -> None:
    """Raise `UserError` unless the file holds all numbers of `model`: what is missing would stay untrained."""
    state = model.state_dict()
    shared = {state[name].data_ptr() for name in stored if name in state}
    rest = {name: value for name, value in state.items() if value.is_floating_point() and name not in stored}
    missing = [name for name, value in rest.items() if value.data_ptr() not in shared]
    require(
        not missing,
        f"{path} does not hold {', '.join(missing)} of the model",
        hint="give the architecture that the file was made from (an exporter may have folded BatchNorm away), "
        "or say with rename= what these are called in the file",
    )


def _prefixes(names: Sequence[str]) -> list[str]:
    """Return what the first name begins with, none first, up to each of its dots."""
    first = names[0] if names else ""
    dots = [place + 1 for place, letter in enumerate(first) if letter == "."]
    return ["", *(first[:place] for place in dots)]
