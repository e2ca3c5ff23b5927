"""From named columns, one of them SMILES, to the samples of an audit, with what was left out said in their notes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quantmis.data.encode import require_columns, target
from quantmis.data.molecules.features import FEATURES
from quantmis.data.molecules.smiles import FEWEST, Molecules, clean
from quantmis.data.samples import Samples
from quantmis.data.table import Columns
from quantmis.errors import require


def molecules_of(
    columns: Columns, smiles: str, name: str, skip_unparsable: bool = False, fewest: int = FEWEST
) -> tuple[Molecules, tuple[str, ...]]:
    """Return the distinct molecules of the column `smiles` with targets of the column `name`, and what was done.

    A target of text is a class. Raises `UserError` for columns that are not there and what `clean` refuses.

    >>> molecules_of({"drug": np.array(["CCO", "OCC", "C"]), "toxic": np.array(["no", "no", "yes"])}, "drug", "toxic",
    ...              fewest=2)[1]
    ('toxic: the classes 0 = no, 1 = yes', '2 molecules in 3 rows; 1 duplicates removed')
    """
    require_columns(columns, [smiles], "data.smiles")
    strings = columns[smiles]
    require(strings.dtype.kind in "US", f"data.smiles: column {smiles!r} holds numbers", hint="name that of the SMILES")
    targets = target(columns, name, "data")
    molecules = clean(strings.tolist(), targets.y, skip_unparsable, fewest)
    return molecules, (*targets.notes, molecules.describe())


def samples_from_smiles(
    columns: Columns,
    smiles: str,
    name: str,
    features: str = "ecfp",
    skip_unparsable: bool = False,
    folder: Path = Path(),
    ids: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> Samples:
    """Return the samples that the column `smiles` gives: some `features` of each molecule, its target in `name`.

    Files that `features` name are looked for in `folder`. `ids` [rows] name the molecules in the report, by default
    their SMILES do; `groups` [rows] say which belong together.
    """
    how = FEATURES.parse(features)
    molecules, notes = molecules_of(columns, smiles, name, skip_unparsable)
    names = molecules.smiles if ids is None else np.array(ids)[molecules.rows]
    together = None if groups is None else np.array(groups)[molecules.rows]
    return Samples(
        how.compute(molecules, folder), molecules.y, names, [f"{name} from {features} of {smiles}", *notes], together
    )
