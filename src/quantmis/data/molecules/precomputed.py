"""Embeddings that somebody else computed: a file with one row per molecule, matched by SMILES or by row."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.data.archives import read_archive
from quantmis.data.molecules.chemistry import canonical
from quantmis.data.molecules.features import FEATURES, Features, require_finite
from quantmis.data.molecules.smiles import Molecules
from quantmis.data.paths import inside
from quantmis.data.table import parquet_of
from quantmis.errors import UserError, require
from quantmis.registry import suggestion


@FEATURES.add
@dataclass(frozen=True)
class Precomputed(Features):
    """Read embeddings from an `.npz` or `.parquet` file: the array or column `array` holds a row per molecule.

    Where the file also holds `smiles`, rows are matched by molecule, however its SMILES is written and in whatever
    order. Where it does not, row i belongs to row i of the SMILES that were given, duplicates and all.
    """

    file: str
    array: str = "embeddings"
    name: ClassVar[str] = "precomputed"

    def __post_init__(self):
        good = Path(self.file).suffix in (".npz", ".parquet")
        require(good, f"precomputed: expected an .npz or .parquet file, got {self.file}")

    def compute(self, molecules: Molecules, folder: Path) -> Float[np.ndarray, "molecules features"]:
        """Return the rows of `molecules` as float32; `UserError` where one has none, or rows do not match."""
        path = inside(folder, self.file, "precomputed")
        columns = _npz(path) if path.suffix == ".npz" else _parquet(path)
        hint = suggestion(self.array, columns)
        require(self.array in columns, f"precomputed: {path.name} holds no {self.array!r}", hint=hint)
        table = np.asarray(columns[self.array])
        good = table.ndim == 2 and table.dtype.kind in "biuf"
        require(good, f"precomputed: expected rows of numbers, got {self.array} {table.dtype} of shape {table.shape}")
        rows = _by_molecule(columns["smiles"], table, molecules) if "smiles" in columns else _by_row(table, molecules)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
            embeddings = table[rows].astype(np.float32)
        require_finite(embeddings, molecules, f"precomputed: {self.array} in {path.name}")
        return embeddings


def _by_molecule(smiles: np.ndarray, table: np.ndarray, molecules: Molecules) -> list[int]:
    require(
        len(smiles) == len(table),
        f"precomputed: {len(smiles):,} SMILES and {len(table):,} rows of embeddings do not match",
    )
    strings = [str(each) for each in smiles]
    place = {canonical(each) or each: row for row, each in reversed(list(enumerate(strings)))}
    missing = [each for each in molecules.smiles if each not in place]
    require(
        not missing,
        f"precomputed: {len(missing):,} of {len(molecules):,} molecules have no embedding, the first {missing[:1]}",
        hint="compute the embeddings of the same file of SMILES",
    )
    return [place[each] for each in molecules.smiles]


def _by_row(table: np.ndarray, molecules: Molecules) -> list[int]:
    require(
        len(table) == molecules.given,
        f"precomputed: {len(table):,} rows of embeddings for {molecules.given:,} rows of SMILES",
        hint="one row each, in the same order, duplicates included; or add an array smiles to match them by",
    )
    return molecules.rows.tolist()


def _npz(path: Path) -> Mapping[str, np.ndarray]:
    return read_archive(path, "precomputed")


def _parquet(path: Path) -> Mapping[str, Any]:
    _, table = parquet_of(path, "precomputed")
    twice = [name for name in table.column_names if table.column_names.count(name) > 1]
    require(not twice, f"precomputed: {path.name} names the column {twice[:1]} twice")
    try:
        return {name: np.array(values) for name, values in table.to_pydict().items()}
    except ValueError as error:
        raise UserError(f"precomputed: {path.name}: {error}", hint="rows of one length") from error
