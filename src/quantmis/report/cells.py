"""Cells of the report's tables: numbers with their intervals, written by the unit that they are measured in.

A column has one number of decimals, the one that its intervals support. A cell without a number carries the number of
the note that says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from quantmis.measures.measure import Unit
from quantmis.report import words
from quantmis.report.reading import COIN
from quantmis.stats import Estimate, Unmeasured

Notes = Mapping[str, int]
Quantity = Estimate | Unmeasured
MISSING = "not measured"


@dataclass(frozen=True)
class Cell:
    """Hold what a cell prints: a text, its interval, the number of a note."""

    text: str
    interval: str = ""
    note: int | None = None


def column_of(unit: Unit, values: Sequence[Any], notes: Notes) -> list[Cell]:
    """Return the cells of values of a unit: numbers that were counted have no interval."""
    counted = [each for each in values if isinstance(each, int | float)]
    if counted:
        return [cell(each, notes, COUNTED.get(unit, _three_decimals)) for each in values]
    writers: dict[Unit, Callable[[Sequence[Quantity], Notes], list[Cell]]] = {
        "auc": areas,
        "share": rates,
        "share difference": differences,
        "lower bound": _floors,
    }
    return writers.get(unit, numbers)(values, notes)


def numbers(quantities: Sequence[Quantity], notes: Notes, apart: float = 0.0) -> list[Cell]:
    """Return a column of numbers with their intervals; no end is written as `apart` that is not."""
    return _column(quantities, notes, words.fixed, decimals(quantities), apart)


def areas(quantities: Sequence[Quantity], notes: Notes) -> list[Cell]:
    """Return a column of AUCs."""
    return numbers(quantities, notes, apart=COIN)


def rates(quantities: Sequence[Quantity], notes: Notes) -> list[Cell]:
    """Return a column of shares in per cent."""
    return _column(quantities, notes, words.percent, decimals(quantities), 0.0, share=True)


def rights(quantities: Sequence[Quantity], notes: Notes, digits: int | None = None) -> list[Cell]:
    """Return a column of how often an attacker is right, with the decimals that the verdict has too."""
    places = decimals(quantities) if digits is None else digits + 2
    return _column(quantities, notes, words.percent, places, COIN, share=True)


def differences(quantities: Sequence[Quantity], notes: Notes) -> list[Cell]:
    """Return a column of differences between shares, in percentage points."""

    def points(value: float, digits: int) -> str:
        return words.fixed(100 * value, digits)

    return _column(quantities, notes, points, decimals(quantities), 0.0, share=True)


def _column(
    quantities: Sequence[Quantity],
    notes: Notes,
    write: Callable[[float, int], str],
    digits: int,
    apart: float,
    share: bool = False,
) -> list[Cell]:
    """Return cells of `digits` decimals of the fraction, more where an end would be taken for `apart`."""
    factor, digits = (100, min(1, max(0, digits - 2))) if share else (1, digits)

    def one(quantity: Quantity) -> Cell:
        measured = isinstance(quantity, Estimate)
        places = words.clear(words.scaled(quantity, factor), digits, factor * apart) if measured else digits
        return cell(quantity, notes, lambda value: write(value, places))

    return [one(each) for each in quantities]


def _floors(quantities: Sequence[Quantity], notes: Notes) -> list[Cell]:
    """Return a column of lower bounds: the lower ends of their intervals, and nothing below zero."""
    cells = rounded(quantities, notes)
    lows = [words.significant(max(0.0, each.low)) if isinstance(each, Estimate) else None for each in quantities]
    return [whole if low is None else Cell(low, note=whole.note) for whole, low in zip(cells, lows, strict=True)]


def rounded(quantities: Sequence[Quantity], notes: Notes) -> list[Cell]:
    """Return a column of numbers of any size with two significant digits."""
    return [cell(each, notes, words.significant) for each in quantities]


def _three_decimals(value: float) -> str:
    return words.fixed(value, 3)


COUNTED: dict[Unit, words.Writer] = {
    "bits": lambda value: words.significant(value, 3),
    "share": words.percent,
    "count": lambda value: f"{value:,}",
}
"""How numbers are written that were counted and have no interval."""


def decimals(quantities: Sequence[Quantity]) -> int:
    """Return the decimals that a column deserves: those of its median interval."""
    reaches = [words.reach(each) for each in quantities if isinstance(each, Estimate)]
    return words.places(median(reaches)) if reaches else 2


def cell(quantity: Quantity | float, notes: Notes, write: words.Writer) -> Cell:
    """Return the cell of a quantity; where it has none, or only a bound, the number of the note that says why."""
    if isinstance(quantity, Unmeasured):
        return Cell(MISSING, note=notes.get(quantity.reason))
    if isinstance(quantity, int | float):
        return Cell(write(quantity))
    low, high = write(quantity.low).removesuffix(" %"), write(quantity.high)
    note = notes.get(quantity.reason) if quantity.reason else None
    return Cell(write(quantity.value), f"{low} to {high}", note)
