"""The door to RDKit, which is imported only where molecules are read."""

from typing import TYPE_CHECKING

from quantmis.errors import UserError

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def parsed(smiles: str) -> "Mol | None":
    """Return the molecule that `smiles` means, or None where it means none; RDKit's own log stays quiet.

    >>> parsed("CCO").GetNumAtoms(), parsed("C1CC"), parsed("")
    (3, None, None)
    """
    chem, base = _rdkit()
    with base.BlockLogs():
        molecule = chem.MolFromSmiles(smiles.strip()) if smiles.strip() else None
    return molecule if molecule is not None and molecule.GetNumAtoms() else None


def canonical(smiles: str) -> str | None:
    """Return the one SMILES that stands for the molecule however it was written, or None where there is none.

    Isotopes and stereochemistry are kept: mirror images are different molecules.

    >>> canonical("OCC"), canonical("C(O)C"), canonical("C1CC")
    ('CCO', 'CCO', None)
    """
    molecule = parsed(smiles)
    return None if molecule is None else _rdkit()[0].MolToSmiles(molecule)


def molecule_of(smiles: str) -> "Mol":
    """Return the molecule of a canonical SMILES, which was parsed before."""
    molecule = parsed(smiles)
    if molecule is None:
        raise UserError(f"{smiles!r} is no molecule", hint="quantmis.data.molecules.clean names those that are none")
    return molecule


def _rdkit():
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise UserError("reading molecules needs RDKit", hint="pip install 'quantmis[molecules]'") from error
    return Chem, rdBase
