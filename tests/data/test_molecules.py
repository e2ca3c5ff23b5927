"""Claims about molecules: what is read, what is refused by name, and what no row is lost to."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem, Descriptors

from quantmis.audit.checks import check
from quantmis.audit.config.building import samples_of, task_of
from quantmis.audit.config.running import audit_file
from quantmis.audit.config.sections import read as read_file
from quantmis.data.molecules import FEATURES, Molecules, canonical, clean, molecules_of, samples_from_smiles
from quantmis.data.molecules.features import standardised
from quantmis.data.molecules.scaffolds import scaffold, scaffold_split
from quantmis.data.sources import Data, read
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
        (ALCOHOLS, np.where(np.arange(120) == 7, np.nan, 1.0), "1 targets are NaN or infinite: row 7", "measured"),
        (
            ALCOHOLS,
            np.full(120, np.inf),
            "120 targets are NaN or infinite: row 0, row 1, row 2, row 3, row 4 and 115 more",
            "",
        ),
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


def columns(smiles: list[str], y: object) -> dict[str, np.ndarray]:
    return {"smiles": np.array(smiles), "y": np.asarray(y)}


def test_a_column_of_smiles_becomes_samples_named_by_their_molecules():
    samples = samples_from_smiles(columns([*ALCOHOLS, "OC"], [*([0, 1] * 60), 0]), "smiles", "y", "ecfp(bits=64)")
    assert samples.x.shape == (120, 64)
    assert samples.y.tolist() == [0, 1] * 60
    assert samples.names[:2].tolist() == ["CO", "CCO"]
    assert "120 molecules in 121 rows; 1 duplicates removed" in samples.notes


def test_ids_stay_with_their_molecules():
    rows = columns(["C1CC", "OC", *ALCOHOLS], [0, 1] * 61)
    names = [f"drug {row}" for row in range(122)]
    samples = samples_from_smiles(rows, "smiles", "y", "maccs", skip_unparsable=True, ids=names)
    assert samples.names[:2].tolist() == ["drug 1", "drug 3"]
    assert "1 unparsable rows left out: 0" in samples.notes[-1]


def test_text_targets_are_classes():
    found, said = molecules_of(columns(ALCOHOLS, ["toxic", "harmless"] * 60), "smiles", "y")
    assert found.y[:2].tolist() == [1, 0]
    assert said[0] == "y: the classes 0 = harmless, 1 = toxic"


@pytest.mark.parametrize(
    ("smiles", "name", "y", "message"),
    [
        ("SMILES", "y", [0, 1] * 60, "data.smiles: there is no column 'SMILES'"),
        ("smiles", "activity", [0, 1] * 60, "data.target: there is no column 'activity'"),
        ("y", "y", [0, 1] * 60, "data.smiles: column 'y' holds numbers"),
        ("smiles", "y", [np.nan, 1] * 60, "column 'y' has 60 missing values, in rows 0, 2, 4"),
    ],
)
def test_columns_that_are_not_there_are_refused(smiles: str, name: str, y: list[float], message: str):
    with pytest.raises(UserError, match=message):
        molecules_of(columns(ALCOHOLS, y), smiles, name)


EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "molecules"


def table(folder: Path, rows: list[str], header: str = "name,drug,y") -> Path:
    (folder / "drugs.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    rows = [f"d{row},{smiles},{row / 10}" for row, smiles in enumerate([*ALCOHOLS, "OC"])]
    return table(tmp_path, rows)


def test_a_table_of_molecules_is_read_without_a_program(listed: Path):
    found = read(Data(file="drugs.csv", smiles="drug", target="y"), listed)
    assert found.x.shape == (120, 1024)
    assert found.names[:2].tolist() == ["CO", "CCO"]
    assert found.notes == (
        "y from ecfp of drug",
        "120 molecules in 121 rows; 1 duplicates removed; 1 of them disagree with the target that was kept",
    )
    named = read(Data(file="drugs.csv", smiles="drug", target="y", id="name", fingerprint="maccs"), listed)
    assert (named.x.shape, named.names[0]) == ((120, 167), "d0")
    assert read(Data(file="drugs.csv", smiles="drug", target="y", fingerprint="ecfp(bits=64)"), listed).x.shape == (
        120,
        64,
    )


def test_a_measured_target_is_scaled_by_a_rule_that_is_stated(listed: Path):
    plain = read(Data(file="drugs.csv", smiles="drug", target="y"), listed).y.astype(np.float64)
    found = read(Data(file="drugs.csv", smiles="drug", target="y", target_scale="standard"), listed)
    assert found.y == pytest.approx((plain - plain.mean()) / plain.std(), abs=1e-5)
    assert found.notes[-1] == f"y: less {plain.mean():.6g}, divided by {plain.std():.6g}"
    numbers = read(
        Data(file="drugs.csv", features=["y"], target="y2", target_scale="standard"),
        table(listed, [f"{k},{k + 1}" for k in range(30)], "y,y2"),
    )
    assert (numbers.y.mean(), numbers.y.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ({"smiles": "smile"}, "data.smiles: there is no column 'smile'", ""),
        ({"fingerprint": "ecpf"}, "unknown features 'ecpf'", "did you mean 'ecfp'"),
        ({"features": ["y"]}, "data.features does not go with smiles", ""),
        ({"scale": "standard"}, "data.scale does not go with smiles", ""),
        ({"target": "group", "target_scale": "standard"}, "data.target_scale: group holds classes", "measured"),
        ({"target_scale": "standart"}, "unknown rule 'standart'", "did you mean 'standard'"),
        ({"smiles": None, "fingerprint": "maccs"}, "data.fingerprint needs smiles", 'smiles = "'),
        ({"target": None}, "say which column is to be predicted", ""),
    ],
)
def test_keys_that_do_not_fit_molecules_are_refused(tmp_path: Path, keys: dict[str, object], message: str, hint: str):
    rows = [f"{smiles},{row / 10},{'ab'[row % 2]}" for row, smiles in enumerate(ALCOHOLS)]
    given = {"file": "drugs.csv", "smiles": "smiles", "target": "y"} | keys
    data = Data(**{key: value for key, value in given.items() if value is not None})
    with pytest.raises(UserError, match=message) as refused:
        read(data, table(tmp_path, rows, "smiles,y,group"))
    assert hint in (refused.value.hint or "")


def test_what_is_no_molecule_is_named_by_its_row_or_left_out_and_listed(tmp_path: Path):
    folder = table(tmp_path, [f"{smiles},{row % 2}" for row, smiles in enumerate([*ALCOHOLS, "C1CC"])], "smiles,y")
    with pytest.raises(UserError, match="row 120 'C1CC'") as refused:
        read(Data(file="drugs.csv", smiles="smiles", target="y"), folder)
    assert "skip_unparsable = true" in (refused.value.hint or "")
    found = read(Data(file="drugs.csv", smiles="smiles", target="y", skip_unparsable=True), folder)
    assert len(found) == 120
    assert "1 unparsable rows left out: 120" in found.notes[-1]


def test_members_of_molecules_are_not_told_by_a_column(tmp_path: Path):
    rows = [f"{smiles},{row % 2},{'in' if row % 3 else 'out'}" for row, smiles in enumerate(ALCOHOLS)]
    table(tmp_path, rows, "smiles,y,split")
    (tmp_path / "audit.toml").write_text(
        '[data]\nfile = "drugs.csv"\nsmiles = "smiles"\ntarget = "y"\n'
        '[model]\nfunction = "quantmis.models.heads:Head"\narguments = { features = 1024, outputs = 2 }\n'
        '[target]\nweights = "w.safetensors"\ncolumn = "split"\nmembers = "in"\nnon_members = "out"\n'
    )
    file = read_file(tmp_path / "audit.toml")
    with pytest.raises(UserError, match=r"target\.column does not go with data\.smiles"):
        samples_of(file, tmp_path)


def test_the_example_is_the_guides_and_its_table_that_of_the_guides_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = (EXAMPLE.parents[1] / "guides" / "audit-a-molecular-model.md").read_text(encoding="utf-8")
    for name in ("audit.toml", "regression.toml"):
        assert f"```toml\n{(EXAMPLE / name).read_text()}```" in page
    program = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert (tmp_path / "molecules.csv").read_text() == (EXAMPLE / "molecules.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["audit.toml", "regression.toml"])
def test_the_heads_of_the_example_fit_its_fingerprints(name: str):
    file = read_file(EXAMPLE / name)
    check(task_of(file, EXAMPLE), samples_of(file, EXAMPLE))


@pytest.mark.slow
def test_a_regression_that_is_worse_than_the_mean_is_warned_of(tmp_path: Path):
    rows = [f"{smiles},{500 + row % 7}" for row, smiles in enumerate(ALCOHOLS)]
    table(tmp_path, rows, "smiles,y")
    (tmp_path / "audit.toml").write_text(
        '[data]\nfile = "drugs.csv"\nsmiles = "smiles"\ntarget = "y"\nfingerprint = "maccs"\n'
        '[model]\nfunction = "quantmis.models.heads:Head"\nloss = "mse"\n'
        "arguments = { features = 167, outputs = 1, hidden = 16 }\n"
        '[training]\nepochs = 2\n[audit]\nquantizers = ["sign"]\nshadows = 4\nattacks = ["loss_threshold"]\n'
    )
    found = audit_file(tmp_path / "audit.toml", tmp_path / "out", {"engine": None})
    assert "QM010" in [each.code for each in found.document.warnings]
