"""Claims about molecules: what is read, what is refused by name, and what no row is lost to."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem, Descriptors

from quantmis.data.molecules import FEATURES, Molecules, canonical, clean, read_molecules, samples_from_smiles
from quantmis.data.molecules.features import standardised
from quantmis.data.molecules.scaffolds import scaffold, scaffold_split
from quantmis.errors import UserError

DRUGS = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "ethanol": "CCO",
}
ALCOHOLS = [f"{'C' * length}O" for length in range(1, 121)]


def drugs(**changes: object) -> Molecules:
    smiles = tuple(map(str, map(canonical, DRUGS.values())))
    return Molecules(smiles, np.arange(len(smiles)), np.arange(len(smiles)), given=len(smiles), **changes)


def write(path: Path, smiles: list[str], y: list[object], header: str = "smiles,y") -> Path:
    path.write_text("\n".join([header, *(f"{each},{value}" for each, value in zip(smiles, y, strict=True))]) + "\n")
    return path


@given(st.sampled_from(list(DRUGS.values())), st.integers(0, 2**31 - 1))
def test_a_molecule_has_one_canonical_smiles_however_it_is_written(smiles: str, seed: int):
    molecule = Chem.MolFromSmiles(smiles)
    order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms()).tolist()
    other = Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)
    assert canonical(other) == canonical(smiles)


def test_mirror_images_are_different_molecules():
    assert canonical("C[C@H](N)C(=O)O") != canonical("C[C@@H](N)C(=O)O")


def test_duplicates_are_removed_counted_and_the_first_target_stands():
    found = clean([*ALCOHOLS, "OC", "OCC"], np.array([*([0, 1] * 60), 0, 0]))
    assert len(found) == 120
    assert len(set(found.smiles)) == 120
    assert (found.duplicates, found.disagreeing) == (2, 1)
    assert found.y[1] == 1
    assert "2 duplicates removed; 1 of them disagree" in found.describe()


def test_every_row_is_kept_counted_or_listed():
    smiles = [*ALCOHOLS, "not a molecule", "OC", "C1CC", ""]
    found = clean(smiles, np.arange(len(smiles)), skip_unparsable=True)
    assert len(found) + found.duplicates + len(found.unparsable) == found.given == len(smiles)
    assert found.unparsable == (120, 122, 123)
    assert "3 unparsable rows left out: 120, 122, 123" in found.describe()


def test_rows_point_at_the_rows_that_were_given():
    found = clean(["CCO", "OCC", "CO"], np.array([1, 1, 0]), fewest=2)
    assert found.rows.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("smiles", "y", "message", "hint"),
    [
        ([*ALCOHOLS, "C1CC"], np.arange(121), "1 of 121 SMILES are no molecules: row 120 'C1CC'", "skip_unparsable"),
        ([""] * 120, np.arange(120), "120 of 120 SMILES are no molecules: row 0 ''", "skip_unparsable"),
        (ALCOHOLS[:99], np.arange(99), "at least 100 distinct molecules, got 99 molecules in 99 rows", "half of them"),
        (["CCO"] * 120, np.arange(120), "got 1 molecules in 120 rows; 119 duplicates removed", "half of them"),
        (ALCOHOLS, np.ones(120), "every molecule has the same target, 1", "one class"),
        (ALCOHOLS, np.where(np.arange(120) == 7, np.nan, 1.0), "1 targets are NaN or infinite, in rows 7", "measured"),
        (ALCOHOLS, np.full(120, np.inf), "120 targets are NaN or infinite, in rows 0, 1, 2, 3, 4 and 115 more", ""),
        (ALCOHOLS, np.arange(119), "120 SMILES and 119 targets", "one target per molecule"),
        (ALCOHOLS, np.array(["1"] * 120), "expected one number per molecule", ""),
        (ALCOHOLS, np.zeros((120, 2)), "expected one number per molecule", ""),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_audited_is_refused(smiles: list[str], y: np.ndarray, message: str, hint: str):
    with pytest.raises(UserError) as refused:
        clean(smiles, y)
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")


def test_rdkit_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]):
    assert canonical("C1CC") is None
    assert capfd.readouterr() == ("", "")


def test_ecfp4_is_the_morgan_fingerprint_of_radius_2():
    found = FEATURES.parse("ecfp(diameter=4, bits=512)").compute(drugs(), Path())
    expected = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(each), 2, 512) for each in drugs().smiles]
    assert found.astype(int).tolist() == [list(each) for each in expected]


def test_counts_count_what_bits_mark():
    marks, counts = (FEATURES.parse(f"ecfp(counts={each})").compute(drugs(), Path()) for each in (False, True))
    assert ((counts > 0) == (marks > 0)).all()
    assert counts.max() > 1


def test_maccs_marks_the_166_keys():
    found = FEATURES.parse("maccs").compute(drugs(), Path())
    assert found.shape == (5, 167)
    assert set(np.unique(found)) == {0.0, 1.0}


def test_descriptors_are_those_of_rdkit_standardised():
    found = FEATURES.parse("descriptors").compute(drugs(), Path())
    names = [name for name, _ in Descriptors.descList]
    weights = np.array([Descriptors.MolWt(Chem.MolFromSmiles(each)) for each in drugs().smiles])
    assert found.shape == (5, len(names))
    assert np.allclose(found[:, names.index("MolWt")], (weights - weights.mean()) / weights.std(), atol=1e-6)
    assert np.isfinite(found).all()
    assert found[:, names.index("NumRadicalElectrons")].tolist() == [0.0] * 5


def test_a_descriptor_that_a_molecule_does_not_have_counts_as_the_median():
    chlorine = Molecules(("[Cl]", *drugs().smiles), np.arange(6), np.arange(6), given=6)
    assert np.isfinite(FEATURES.parse("descriptors").compute(chlorine, Path())).all()


def test_standardised_columns_are_clipped():
    table = np.zeros((1000, 1))
    table[0] = 1.0
    assert standardised(table).max() == 10.0


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("ecfp(diameter=3)", "diameter must be 0, 2, 4, 6 or 8"),
        ("ecfp(bits=1)", "bits must lie between"),
        ("efcp", "unknown features 'efcp'"),
    ],
)
def test_features_that_do_not_exist_are_refused(spelled: str, message: str):
    with pytest.raises(UserError, match=message):
        FEATURES.parse(spelled)


def test_no_scaffold_is_on_both_sides_of_a_split(rng: np.random.Generator):
    rings = [f"{'C' * tail}C1{'C' * size}1" for size in range(2, 12) for tail in range(1, 11)]
    test = scaffold_split(rings, 0.3, rng)
    sides = [{scaffold(each) for each in np.array(rings)[side]} for side in (test, ~test)]
    assert not sides[0] & sides[1]
    assert test.sum() == 30


def test_a_split_without_a_small_scaffold_is_refused(rng: np.random.Generator):
    with pytest.raises(UserError, match="no scaffold has at most 20%"):
        scaffold_split(ALCOHOLS, 0.2, rng)
    with pytest.raises(UserError, match="fraction"):
        scaffold_split(ALCOHOLS, 1.0, rng)


def test_a_csv_of_smiles_becomes_samples(tmp_path: Path):
    path = write(tmp_path / "drugs.csv", [*ALCOHOLS, "OC"], [*([0, 1] * 60), 0])
    samples, found = samples_from_smiles(path, features="ecfp(bits=64)")
    assert samples.x.shape == (120, 64)
    assert samples.y.tolist() == [0, 1] * 60
    assert found.duplicates == 1


def test_measurements_are_standardised(tmp_path: Path):
    path = write(tmp_path / "drugs.csv", ALCOHOLS, list(np.linspace(50, 90, 120)))
    samples, found = samples_from_smiles(path, features="maccs", targets="numbers")
    assert abs(samples.y.mean()) < 1e-6
    assert abs(samples.y.std() - 1) < 1e-6
    assert found.y.max() == 90


def test_names_with_commas_quotes_and_a_byte_order_mark_are_read(tmp_path: Path):
    path = tmp_path / "drugs.csv"
    rows = "".join(f'"a, ""{index}""",{each},{index % 2}\r\n' for index, each in enumerate(ALCOHOLS))
    path.write_text(f"\ufeffDrug,SMILES,active\r\n{rows}")
    assert len(read_molecules(path, "SMILES", "active")) == 120


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("Drug,Y\nCO,1\n", "drugs.csv has no column 'smiles'", "known: Drug, Y"),
        ("smile,y\nCO,1\n", "drugs.csv has no column 'smiles'", "did you mean 'smile'"),
        ("smiles,y\nCO,high\n", "column 'y', row 0: 'high' is no number", "0, 1, 2"),
        ("smiles,y\nCO,\n", "1 targets are NaN", "measured"),
        ("smiles,y\nCO\n", "1 targets are NaN", "measured"),
        ("smiles,y\n", "at least 100 distinct molecules, got 0", ""),
        ("", "no column 'smiles'", ""),
        ('smiles,y\n"CO,1', "is no CSV file", "UTF-8"),
        (b"\xff\xfe\x00", "is no CSV file", "UTF-8"),
    ],
)
def test_a_broken_csv_is_told_what_is_wrong(tmp_path: Path, text: str | bytes, message: str, hint: str):
    (tmp_path / "drugs.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as refused:
        read_molecules(tmp_path / "drugs.csv")
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")


def test_a_csv_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        read_molecules(tmp_path / "none.csv")


def test_classes_that_are_not_numbered_from_0_are_refused(tmp_path: Path):
    path = write(tmp_path / "drugs.csv", ALCOHOLS, [1, 2] * 60)
    with pytest.raises(UserError, match=r"expected classes 0, 1, \.\.\., got 1, 2"):
        samples_from_smiles(path)
