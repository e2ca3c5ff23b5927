"""The parts of a model that may have a version of their own: layers, or kinds of layers, named by patterns."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from quantmis.errors import require
from quantmis.quantizers import layers
from quantmis.quantizers.mixed import matching

MOST_LAYERS = 6
"""Layers that each may differ by themselves; those of a larger model differ by kind."""

MOST_KINDS = 9
PLACES = ("first", "last")
SPECIAL = set("*?[],")


def parts_of(model: nn.Module, patterns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the patterns of layers that may differ from the rest, by default those of the model.

    Raises `UserError` for a pattern that matches no layer, and for two that match one.
    """
    sizes = {name: weight.numel() for name, weight in layers.weights(model).items()}
    require(sizes, "the model has no layer that quantizers replace: Linear, convolution or Embedding")
    chosen = _by_default(sizes) if patterns is None else tuple(dict.fromkeys(patterns))
    _require_apart(chosen, list(sizes))
    return chosen


def _require_apart(patterns: Sequence[str], names: list[str]) -> None:
    owner = dict[str, str]()
    for pattern in patterns:
        for name in sorted(matching(pattern, names)):
            message = f"layers: {owner.get(name)!r} and {pattern!r} both match {name}"
            require(name not in owner, message, hint="a layer is of one part: make the patterns narrower")
            owner[name] = pattern


def _by_default(sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Return all parts but the one of the most weights, which stands for the rest."""
    names = list(sizes)
    plain = not any(name in PLACES or SPECIAL & set(name) or not name for name in names)
    if len(names) <= MOST_LAYERS and plain:
        largest = max(names, key=lambda name: sizes[name])
        return tuple(name for name in names if name != largest)
    kinds = _kinds(names)
    if 2 <= len(kinds) <= MOST_KINDS and plain:
        weights = {kind: sum(sizes[name] for name in names if fnmatchcase(name, kind)) for kind in kinds}
        return tuple(kind for kind in kinds if kind != max(kinds, key=lambda each: weights[each]))
    return PLACES if len(names) > 2 else ("last",) if len(names) == 2 else ()


def _kinds(names: Sequence[str]) -> list[str]:
    """Return patterns by the last word of each name, none where these are numbers or do not tell layers apart."""
    last = [name.rpartition(".") for name in names]
    kinds = list(dict.fromkeys(f"*.{word}" if home else word for home, _, word in last))
    numbers = any(word.isdigit() for _, _, word in last)
    owners = [sum(fnmatchcase(name, kind) for kind in kinds) for name in names]
    return [] if numbers or any(each != 1 for each in owners) else kinds
