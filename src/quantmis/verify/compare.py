"""Where two documents differ: the path of every number, word and list that is not the same."""

import math
from collections.abc import Iterator
from typing import Any

TOLERANCE = 1e-9
SHOWN = 60


def differences(document: Any, computed: Any, path: str = "") -> Iterator[str]:
    """Yield a line for everything in which `computed` is not what the `document` says; both as plain JSON.

    >>> list(differences({"auc": {"value": 0.6}}, {"auc": {"value": 0.5}}))
    ['auc.value: 0.6 in the document, 0.5 computed from the tables']
    """
    if isinstance(document, dict) and isinstance(computed, dict):
        yield from _of_dicts(document, computed, path)
    elif isinstance(document, list) and isinstance(computed, list) and len(document) == len(computed):
        for index, (one, other) in enumerate(zip(document, computed, strict=True)):
            yield from differences(one, other, f"{path}.{_name(one, index)}")
    elif not _same(document, computed):
        yield f"{path.lstrip('.')}: {_brief(document)} in the document, {_brief(computed)} computed from the tables"


def _of_dicts(document: dict[str, Any], computed: dict[str, Any], path: str) -> Iterator[str]:
    for key in dict.fromkeys([*document, *computed]):
        yield from differences(document.get(key), computed.get(key), f"{path}.{key}".lstrip("."))


def count(document: Any) -> int:
    """Return how many numbers a document holds."""
    if isinstance(document, dict):
        return sum(map(count, document.values()))
    if isinstance(document, list):
        return sum(map(count, document))
    return int(isinstance(document, int | float) and not isinstance(document, bool))


def _same(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(one) is type(other) and one == other


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(item: Any, index: int) -> str:
    name = item.get("name", index) if isinstance(item, dict) else index
    return str(name)[:SHOWN]


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
