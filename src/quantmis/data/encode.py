"""From named columns to inputs and targets, by rules that are stated in the result.

A column of numbers stays as it is, or is brought to mean 0 and variance 1 where that is asked for. A column of text is
a category: one input per value (one-hot) or the number of the value (ordinal), the values in alphabetical order. A
target of text is a class, numbered likewise; a target of whole numbers is taken as whole numbers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quantmis.data.ceiling import ceiling, require_below
from quantmis.data.numbers import require_kinds, require_words
from quantmis.data.table import Columns, require_present
from quantmis.errors import require
from quantmis.registry import suggestion

MOST_CATEGORIES = 100
SHOWN = 12
RULES = ("one-hot", "ordinal")
SCALES = ("none", "standard")


@dataclass(frozen=True, eq=False)
class Encoded:
    """Hold inputs [samples, inputs] and what was done to get them, a sentence per rule."""

    x: Float[np.ndarray, "samples inputs"]
    notes: tuple[str, ...]


def features(
    columns: Columns,
    names: Sequence[str],
    key: str,
    rule: str = "one-hot",
    categorical: Sequence[str] = (),
    scale: str = "none",
    most: int | None = None,
) -> Encoded:
    """Return the inputs that the columns `names` give; those of numbers that `categorical` names count as categories.

    They may take at most so many bytes.

    >>> table = {"age": np.array([30.0, 40.0]), "city": np.array(["Rome", "Oslo"])}
    >>> inputs = features(table, ["age", "city"], "data")
    >>> inputs.x.tolist(), inputs.notes
    ([[30.0, 0.0, 1.0], [40.0, 1.0, 0.0]], ('city: one-hot of 2 values, Oslo, Rome',))
    """
    require(rule in RULES, f"{key}.categories: unknown rule {rule!r}", hint=suggestion(rule, RULES))
    require(scale in SCALES, f"{key}.scale: unknown rule {scale!r}", hint=suggestion(scale, SCALES))
    require(names, f"{key}.features: no column is left to learn from")
    require_columns(columns, names, f"{key}.features")
    require_columns({name: columns[name] for name in names}, categorical, f"{key}.categorical")
    require_present(columns, names, f"{key}.features")
    parts, notes, size, marked = list[np.ndarray](), list[str](), 0, frozenset(categorical)
    for name in names:
        if columns[name].dtype.kind in "US" or name in marked:
            part, note = _category(name, columns[name], rule, key, name in marked)
        else:
            part, note = _number(name, columns[name], scale)
        size += part.nbytes
        require_below(size, ceiling(0) if most is None else most, f"{key}.features: what the columns become")
        parts.append(part)
        notes += [note] if note else []
    return Encoded(np.concatenate(parts, axis=1), tuple(notes))


@dataclass(frozen=True, eq=False)
class EncodedTarget:
    """Hold targets [samples], what was done to get them, and what classes are called, where targets are classes."""

    y: np.ndarray
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


def target(columns: Columns, name: str, key: str, categorical: bool = False) -> EncodedTarget:
    """Return the targets that the column `name` gives; classes where it holds text, or is `categorical`.

    >>> classes = target({"y": np.array(["no", "yes", "no"])}, "y", "data")
    >>> classes.y.tolist(), classes.notes, classes.class_names
    ([0, 1, 0], ('y: the classes 0 = no, 1 = yes',), ('no', 'yes'))
    """
    require_columns(columns, [name], f"{key}.target")
    require_present(columns, [name], f"{key}.target")
    column = columns[name]
    if column.dtype.kind in "US" and not categorical:
        require_words(name, column, f"{key}.target")
        require_kinds(name, column, f"{key}.target")
    if column.dtype.kind in "US" or categorical:
        values, codes = np.unique(column, return_inverse=True)
        note = f"{name}: the classes {_listed([f'{k} = {value}' for k, value in enumerate(values)])}"
        return EncodedTarget(codes, (note,), tuple(map(str, values.tolist())))
    return EncodedTarget(column.astype(np.int64) if is_whole(column) else column)


def is_whole(column: np.ndarray) -> bool:
    """Say whether a column of numbers holds whole numbers that a 64-bit integer can hold."""
    return bool((np.isfinite(column) & (np.abs(column) < 2**53)).all() and (column == np.round(column)).all())


def require_columns(columns: Columns, names: Sequence[str], key: str) -> None:
    """Raise `UserError` with the nearest known name unless all of `names` are columns, each named once."""
    strange = next((name for name in names if name not in columns), None)
    require(strange is None, f"{key}: there is no column {strange!r}", hint=lambda: suggestion(str(strange), columns))
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    require(not twice, f"{key}: the column {twice[0] if twice else ''!r} is named twice")


def _number(name: str, column: np.ndarray, scale: str) -> tuple[np.ndarray, str]:
    values = column.astype(np.float64)[:, None]
    if scale == "none":
        return values, ""
    mean, deviation = float(values.mean()), float(values.std())
    return (values - mean) / (deviation or 1.0), f"{name}: less {mean:.6g}, divided by {deviation or 1.0:.6g}"


def _category(name: str, column: np.ndarray, rule: str, key: str, declared: bool) -> tuple[np.ndarray, str]:
    if not declared:
        require_words(name, column, f"{key}.features")
    values, codes = np.unique(column.astype(str), return_inverse=True)
    note = f"{name}: {rule} of {len(values)} values, {_listed(values.tolist())}"
    if rule == "ordinal":
        return codes[:, None].astype(np.float64), note
    require(
        len(values) <= MOST_CATEGORIES,
        f"{key}.features: column {name!r} has {len(values)} different values, one-hot takes at most {MOST_CATEGORIES}",
        hint='leave it out of features, name it as id, or set categories = "ordinal"',
    )
    if not declared:
        require_kinds(name, column, f"{key}.features")
    return np.eye(len(values), dtype=np.float32)[codes], note


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:SHOWN]) + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")
