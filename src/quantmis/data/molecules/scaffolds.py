"""Divide molecules by scaffold: their rings and linkers, without what hangs on them (Bemis & Murcko 1996)."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from quantmis.data.molecules.chemistry import molecule_of
from quantmis.errors import require


def scaffold(smiles: str) -> str:
    """Return the canonical SMILES of a molecule's scaffold, "" for one without rings.

    >>> scaffold("CCc1ccccc1"), scaffold("CCO")
    ('c1ccccc1', '')
    """
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    return MurckoScaffoldSmiles(mol=molecule_of(smiles))


def scaffold_split(
    smiles: Sequence[str], fraction: float, generator: np.random.Generator
) -> Bool[np.ndarray, " molecules"]:
    """Return which molecules are a test set of about `fraction` that shares no scaffold with the others.

    Scaffolds are drawn at random and taken whole while they fit, so that the test set holds at most `fraction` of the
    molecules. Molecules without rings have one scaffold. Raises `UserError` where that leaves a side empty.

    >>> rings = ["c1ccccc1C", "c1ccccc1CC", "C1CC1", "C1CCC1"]
    >>> scaffold_split(rings, 0.5, np.random.default_rng(0)).tolist()
    [False, False, True, True]
    """
    require(0 < fraction < 1, f"fraction: expected a number between 0 and 1, got {fraction}")
    groups = defaultdict[str, list[int]](list)
    for row, each in enumerate(smiles):
        groups[scaffold(each)].append(row)
    test = np.zeros(len(smiles), dtype=bool)
    for number in generator.permutation(len(groups)):
        rows = list(groups.values())[number]
        if test.sum() + len(rows) <= fraction * len(smiles):
            test[rows] = True
    require(
        test.any(),
        f"no scaffold has at most {fraction:.0%} of the {len(smiles):,} molecules",
        hint="a larger fraction, or a random split",
    )
    return test
