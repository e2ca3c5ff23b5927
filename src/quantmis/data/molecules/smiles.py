"""Clean a column of SMILES: one row per molecule, each written canonically, and a record of what was left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from quantmis.data.molecules.chemistry import canonical
from quantmis.errors import UserError, require

Called = Callable[[int], str]

FEWEST = 100
NAMED = 5
"""How many of the rows at fault a message names."""


@dataclass(frozen=True, eq=False)
class Molecules:
    """Hold distinct molecules and their targets, and what became of the `given` rows that they came from.

    `smiles` are canonical and all different, `y` [molecules] their targets, `rows` [molecules] the row of each.
    `unparsable` are the rows that hold no molecule. `duplicates` counts the rows that repeat an earlier molecule,
    `disagreeing` those of them with another target than its first row, which is the one that stands. Rows count from 0
    here and from 1 in words.
    """

    smiles: tuple[str, ...]
    y: Shaped[np.ndarray, " molecules"]
    rows: Int[np.ndarray, " molecules"]
    given: int
    unparsable: tuple[int, ...] = ()
    duplicates: int = 0
    disagreeing: int = 0

    def __len__(self) -> int:
        return len(self.smiles)

    def describe(self) -> str:
        """Say in a sentence how many molecules there are and what was left out, with the rows that held none."""
        parts = [f"{len(self):,} molecules in {self.given:,} rows", f"{self.duplicates:,} duplicates removed"]
        if self.disagreeing:
            parts.append(f"{self.disagreeing:,} of them disagree with the target that was kept")
        if self.unparsable:
            parts.append(f"{len(self.unparsable):,} unparsable rows left out: {_listed(self.unparsable)}")
        return "; ".join(parts)


def counted(row: int) -> str:
    """Return what words call a row: its number, from 0.

    >>> counted(0)
    'row 0'
    """
    return f"row {row}"


def clean(
    smiles: Sequence[str],
    y: Shaped[np.ndarray, " rows"],
    skip_unparsable: bool = False,
    fewest: int = FEWEST,
    called: Called = counted,
) -> Molecules:
    """Return the distinct molecules of a column of SMILES, the first row of each, with its target.

    `smiles`: [rows], written in any way. `y`: [rows], numbers. `skip_unparsable`: leave out and list the rows that
    hold no molecule instead of refusing them. `called` says what a row is called where it is refused. Raises
    `UserError` for those, for lengths that differ, targets that are NaN or all the same, and fewer than `fewest`
    molecules.

    >>> drugs = clean(["CCO", "OCC", "c1ccccc1"], np.array([1, 1, 0]), fewest=2)
    >>> drugs.smiles, drugs.y.tolist(), drugs.describe()
    (('CCO', 'c1ccccc1'), [1, 0], '2 molecules in 3 rows; 1 duplicates removed')
    """
    require(len(smiles) == len(y), f"{len(smiles):,} SMILES and {len(y):,} targets", hint="one target per molecule")
    _require_numbers(y, called)
    canonical_smiles = [canonical(each) for each in smiles]
    unparsable = tuple(row for row, each in enumerate(canonical_smiles) if each is None)
    require(
        skip_unparsable or not unparsable,
        f"{len(unparsable):,} of {len(smiles):,} SMILES are no molecules: {_quoted(smiles, unparsable, called)}",
        hint="mend these rows, or leave them out with skip_unparsable = true; they are then listed",
    )
    molecules = _distinct(canonical_smiles, y, unparsable)
    _require_enough(molecules, fewest)
    return molecules


def _distinct(canonical_smiles: Sequence[str | None], y: np.ndarray, unparsable: tuple[int, ...]) -> Molecules:
    first: dict[str, int] = {}
    disagreeing = 0
    for row, each in enumerate(canonical_smiles):
        if each is not None:
            first_row = first.setdefault(each, row)
            disagreeing += bool(y[first_row] != y[row])
    rows = np.array(list(first.values()), dtype=np.int64)
    duplicates = len(canonical_smiles) - len(unparsable) - len(first)
    return Molecules(tuple(first), y[rows], rows, len(canonical_smiles), unparsable, duplicates, disagreeing)


def _require_numbers(y: np.ndarray, called: Called) -> None:
    require(y.ndim == 1 and y.dtype.kind in "biuf", f"expected one number per molecule, got {y.dtype} {y.shape}")
    missing = np.flatnonzero(~np.isfinite(y.astype(np.float64))).tolist()
    require(
        not missing,
        f"{len(missing):,} targets are NaN or infinite: {', '.join(map(called, missing[:NAMED]))}{_more(missing)}",
        hint="leave out the molecules that were not measured: a model cannot be trained on them",
    )


def _require_enough(molecules: Molecules, fewest: int) -> None:
    require(
        len(molecules) >= fewest,
        f"expected at least {fewest} distinct molecules, got {molecules.describe()}",
        hint="half of them train a model and the other half tests the attack: fewer say nothing about membership",
    )
    values = np.unique(molecules.y)
    if len(values) < 2:
        hint = "nothing can be learned from one class; check the target column"
        raise UserError(f"every molecule has the same target, {values[0]:g}", hint=hint)


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(str(row) for row in rows[:NAMED]) + _more(rows)


def _quoted(smiles: Sequence[str], rows: Sequence[int], called: Called) -> str:
    return ", ".join(f"{called(row)} {smiles[row]!r}" for row in rows[:NAMED]) + _more(rows)


def _more(rows: Sequence[int]) -> str:
    return f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
