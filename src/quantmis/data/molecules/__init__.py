"""Molecules: from a column of SMILES to numbers that a model can be trained on, with nothing lost in silence.

A SMILES is text for a molecule, and one molecule has many. Each is parsed and written in one canonical way; those that
cannot be parsed are named; copies of a molecule are removed, because a molecule that is a member and a non-member at
once says nothing about membership. Then `FEATURES` turn molecules into rows of numbers. Needs `quantmis[molecules]`.
"""

from quantmis.data.molecules.chemistry import canonical
from quantmis.data.molecules.embeddings import Transformer
from quantmis.data.molecules.features import ECFP, FEATURES, MACCS, Descriptors, Features
from quantmis.data.molecules.precomputed import Precomputed
from quantmis.data.molecules.scaffolds import scaffold, scaffold_split
from quantmis.data.molecules.smiles import Molecules, clean
from quantmis.data.molecules.table import molecules_of, samples_from_smiles

__all__ = [
    "ECFP",
    "FEATURES",
    "MACCS",
    "Descriptors",
    "Features",
    "Molecules",
    "Precomputed",
    "Transformer",
    "canonical",
    "clean",
    "molecules_of",
    "samples_from_smiles",
    "scaffold",
    "scaffold_split",
]
