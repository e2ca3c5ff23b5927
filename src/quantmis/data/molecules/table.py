"""A CSV file of molecules: a column of SMILES, a column of targets."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from quantmis.data.molecules.features import FEATURES
from quantmis.data.molecules.smiles import FEWEST, Molecules, clean
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

Targets = Literal["classes", "numbers"]


def samples_from_smiles(
    file: Path,
    smiles: str = "smiles",
    target: str = "y",
    features: str = "ecfp",
    targets: Targets = "classes",
    skip_unparsable: bool = False,
) -> tuple[Samples, Molecules]:
    """Return the samples of a CSV file of molecules, and what became of its rows.

    `smiles` and `target` name its columns; `features` is the name of some `FEATURES`, files in it are looked for
    beside `file`. `targets`: "classes" are whole numbers from 0; "numbers" are standardised to mean 0 and deviation 1,
    which is what networks learn and leaves R^2 as it is. Raises `UserError` for what cannot be audited.
    """
    how = FEATURES.parse(features)
    found = read_molecules(file, smiles, target, skip_unparsable)
    y = _classes(found.y, target) if targets == "classes" else _scaled(found.y)
    return Samples(how.compute(found, file.parent), y), found


def read_molecules(
    file: Path, smiles: str = "smiles", target: str = "y", skip_unparsable: bool = False, fewest: int = FEWEST
) -> Molecules:
    """Return the distinct molecules of a CSV file with a header, cleaned as by `clean`; rows count from 0."""
    columns = columns_of(file, (smiles, target))
    return clean(columns[0], numbers(columns[1], target), skip_unparsable, fewest)


def numbers(column: Sequence[str], name: str) -> Float[np.ndarray, " rows"]:
    """Return a column of text as numbers, NaN where it is empty; `UserError` names the first row that is none."""
    return np.array([_number(each, row, name) for row, each in enumerate(column)], dtype=np.float64)


def columns_of(file: Path, names: Sequence[str]) -> list[list[str]]:
    """Return the columns `names` of a CSV file as text; `UserError` where it has none of that name."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = reader.fieldnames or []
            for name in names:
                require(name in header, f"{file.name} has no column {name!r}", hint=suggestion(name, header))
            return [list(column) for column in zip(*_rows(reader, names), strict=True)] or [[] for _ in names]
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", hint="name a CSV file with a header") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{file} is no CSV file: {error}", hint="text in UTF-8, columns separated by commas") from error


def _rows(reader: Iterable[Mapping[str, str | None]], names: Sequence[str]) -> Iterator[list[str]]:
    for row in reader:
        yield [row[name] or "" for name in names]


def _number(text: str, row: int, target: str) -> float:
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError as error:
        hint = "write classes as 0, 1, 2 and measurements as decimal numbers"
        raise UserError(f"column {target!r}, row {row}: {text!r} is no number", hint=hint) from error


def _classes(y: np.ndarray, target: str) -> np.ndarray:
    values = np.unique(y)
    require(
        np.array_equal(values, np.arange(len(values))),
        f"column {target!r}: expected classes 0, 1, ..., got {', '.join(f'{each:g}' for each in values[:5])}, ...",
        hint='number the classes from 0; for measurements use the loss "mse"',
    )
    return y.astype(np.int64)


def _scaled(y: np.ndarray) -> np.ndarray:
    return (y - y.mean()) / y.std()
