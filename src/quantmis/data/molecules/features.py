"""From molecules to rows of numbers: fingerprints and descriptors, computed from SMILES alone.

Features are frozen dataclasses of their parameters with the name that users write, such as `ecfp(bits=2048)`; other
files of this folder add embeddings, and third parties theirs under the entry-point group `quantmis.features`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.data.molecules.chemistry import molecule_of
from quantmis.data.molecules.smiles import Molecules
from quantmis.errors import require
from quantmis.registry import Registry

LARGEST_DEVIATION = 10.0


class Features(ABC):
    """Compute the features of molecules; `name` is what users write."""

    name: ClassVar[str]

    @abstractmethod
    def compute(self, molecules: Molecules, folder: Path) -> Float[np.ndarray, "molecules features"]:
        """Return float32 [molecules, features]; files that the features name are looked for in `folder`."""


FEATURES: Registry[Features] = Registry("features", group="quantmis.features")


@FEATURES.add
@dataclass(frozen=True)
class ECFP(Features):
    """Count or mark the circular substructures around each atom, folded to `bits` (Rogers & Hahn 2010).

    `diameter` 4 is ECFP4, RDKit's Morgan fingerprint of radius 2. With `counts` they are counted, not marked.
    """

    diameter: int = 4
    bits: int = 1024
    counts: bool = False
    name: ClassVar[str] = "ecfp"

    def __post_init__(self):
        good = self.diameter in (0, 2, 4, 6, 8)
        require(good, f"ecfp: diameter must be 0, 2, 4, 6 or 8, got {self.diameter}", hint="diameter=4 is ECFP4")
        require(16 <= self.bits <= 65536, f"ecfp: bits must lie between 16 and 65,536, got {self.bits}")

    def compute(self, molecules: Molecules, folder: Path) -> Float[np.ndarray, "molecules features"]:
        """Return a row of `bits` zeros and ones, or counts, for each molecule."""
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

        maker = GetMorganGenerator(radius=self.diameter // 2, fpSize=self.bits)
        draw = maker.GetCountFingerprintAsNumPy if self.counts else maker.GetFingerprintAsNumPy
        return np.stack([draw(molecule_of(each)) for each in molecules.smiles]).astype(np.float32)


@FEATURES.add
@dataclass(frozen=True)
class MACCS(Features):
    """Mark which of MDL's 166 structural keys a molecule has; the first of the 167 bits is always 0."""

    name: ClassVar[str] = "maccs"

    def compute(self, molecules: Molecules, folder: Path) -> Float[np.ndarray, "molecules features"]:
        """Return a row of 167 zeros and ones for each molecule."""
        from rdkit.Chem.rdMolDescriptors import GetMACCSKeysFingerprint

        return np.array(
            [list(GetMACCSKeysFingerprint(molecule_of(each))) for each in molecules.smiles], dtype=np.float32
        )


@FEATURES.add
@dataclass(frozen=True)
class Descriptors(Features):
    """Compute all of RDKit's two-dimensional descriptors, each with mean 0 and deviation 1 over the molecules.

    A descriptor that a molecule does not have counts as the median of the others, values beyond 10 deviations as 10,
    and one that is the same for all is 0.
    """

    name: ClassVar[str] = "descriptors"

    def compute(self, molecules: Molecules, folder: Path) -> Float[np.ndarray, "molecules features"]:
        """Return a row of about 200 standardised numbers for each molecule."""
        from rdkit.Chem.Descriptors import CalcMolDescriptors

        rows = [list(CalcMolDescriptors(molecule_of(each), missingVal=np.nan).values()) for each in molecules.smiles]
        return standardised(_imputed(np.array(rows, dtype=np.float64)))


def require_finite(table: Float[np.ndarray, "molecules features"], molecules: Molecules, name: str) -> None:
    """Raise `UserError`, which names a molecule, where features are NaN or infinite: scaling would hide them."""
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    require(
        not len(bad),
        f"{name}: the features of {len(bad):,} of {len(molecules):,} molecules are NaN or infinite, "
        f"the first {[molecules.smiles[row] for row in bad[:1]]}",
        hint="compute them again, or leave these molecules out",
    )


def standardised(table: Float[np.ndarray, "molecules features"]) -> Float[np.ndarray, "molecules features"]:
    """Return float32 columns of mean 0 and deviation 1, clipped at 10 deviations; a constant column becomes 0.

    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    table = table.astype(np.float64)
    spread = table.std(axis=0)
    scaled = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled.clip(-LARGEST_DEVIATION, LARGEST_DEVIATION).astype(np.float32)


def _imputed(table: np.ndarray) -> np.ndarray:
    table = np.where(np.isfinite(table), table, np.nan)
    nowhere = np.isnan(table).all(axis=0)
    middle = np.where(nowhere, 0.0, np.nanmedian(np.where(nowhere, 0.0, table), axis=0))
    return np.where(np.isnan(table), middle, table)
