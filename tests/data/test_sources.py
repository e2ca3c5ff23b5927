"""Claims about where samples come from: what each kind of source gives, and what each broken one is told."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

import quantmis as qm
from quantmis.data.sources import Data, columns_of, read, require_fitting
from quantmis.errors import UserError

ROWS = 24


def people(separator: str = ",") -> list[str]:
    """Lines of a table: a name, an age, a city, whether a house is owned, and an income."""
    cities = ("Rome", "Oslo", "Lima")
    rows = [["name", "age", "city", "owner", "income"]]
    rows += [[f"p{k}", str(20 + k), cities[k % 3], str(k % 2), ("low", "high")[k % 4 == 0]] for k in range(ROWS)]
    return [separator.join(row) for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text("\n".join(people()) + "\n")
    np.savez(tmp_path / "arrays.npz", x=np.eye(ROWS), y=np.arange(ROWS) % 2, who=np.arange(ROWS).astype(str))
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(12):
            shade = 10 * number + (100 if kind == "dog" else 0)
            Image.new("RGB", (8, 6), (shade, 0, 255)).save(tmp_path / "pets" / kind / f"{number:03}.png")
    return tmp_path


def parquet(folder: Path, columns: dict[str, Any]) -> None:
    import pyarrow
    from pyarrow import parquet as format_

    format_.write_table(pyarrow.table(columns), folder / "people.parquet")


def test_a_table_becomes_inputs_targets_and_ids(folder: Path):
    samples = read(Data(file="people.csv", target="income", id="name"), folder)
    assert samples.x[:2].tolist() == [[20, 0, 0, 1, 0], [21, 0, 1, 0, 1]]  # age, Lima, Oslo, Rome, owner
    assert samples.y[:5].tolist() == [0, 1, 1, 1, 0]
    assert samples.names[:2].tolist() == ["p0", "p1"]
    assert samples.notes == (
        "income from age, city, owner",
        "income: the classes 0 = high, 1 = low",
        "city: one-hot of 3 values, Lima, Oslo, Rome",
    )


def test_categories_may_be_numbered_and_numbers_scaled_or_taken_as_categories(folder: Path):
    numbered = read(Data(file="people.csv", target="income", features=["city"], categories="ordinal"), folder)
    assert numbered.x[:3].tolist() == [[2], [1], [0]]
    scaled = read(Data(file="people.csv", target="income", features=["age", "owner"], scale="standard"), folder)
    assert scaled.x.mean(0) == pytest.approx([0, 0], abs=1e-6)
    assert scaled.x.std(0) == pytest.approx([1, 1], abs=1e-6)
    assert scaled.notes[-2] == "age: less 31.5, divided by 6.92219"
    houses = read(Data(file="people.csv", target="income", features=["owner"], categorical=["owner"]), folder)
    assert houses.x[:2].tolist() == [[1, 0], [0, 1]]


def test_a_constant_column_is_scaled_to_zero(folder: Path):
    (folder / "people.csv").write_text("\n".join(["a,y", *(f"5,{k}" for k in range(ROWS))]))
    assert (read(Data(file="people.csv", target="y", scale="standard"), folder).x == 0).all()


def test_a_target_of_numbers_stays_numbers(folder: Path):
    whole = read(Data(file="people.csv", target="age", features=["owner"]), folder)
    assert whole.y.dtype.kind == "i"
    (folder / "people.csv").write_text("\n".join(["a,y", *(f"{k % 5},{k / 7}" for k in range(ROWS))]))
    assert read(Data(file="people.csv", target="y"), folder).y.dtype == np.float32


def test_parquet_and_csv_hold_the_same_samples(folder: Path):
    rows = [line.split(",") for line in people()]
    columns: dict[str, Any] = {name: list(values) for name, *values in zip(*rows, strict=True)}
    columns["age"], columns["owner"] = (
        [int(each) for each in columns["age"]],
        [each == "1" for each in columns["owner"]],
    )
    parquet(folder, columns)
    first, second = (
        read(Data(file=f"people.{kind}", target="income", id="name"), folder) for kind in ("csv", "parquet")
    )
    assert first.digest() == second.digest()
    assert first.names.tolist() == second.names.tolist()
    assert first.notes == second.notes


def test_other_separators_and_files_without_a_header_are_read(folder: Path):
    expected = read(Data(file="people.csv", target="income", id="name"), folder).digest()
    lines = people(separator=";")
    (folder / "people.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n\r\n", encoding="utf-8")
    assert read(Data(file="people.csv", target="income", id="name", separator=";"), folder).digest() == expected
    (folder / "people.csv").write_text("\n".join(line.replace(";", "; ") for line in lines[1:]))
    names = lines[0].split(";")
    assert (
        read(Data(file="people.csv", target="income", id="name", separator=";", columns=names), folder).digest()
        == expected
    )


def test_text_in_quotes_may_hold_the_separator_and_new_lines(folder: Path):
    rows = [f'"{"Rome, Italy" if k % 2 else "Oslo" + chr(10) + "Norway"}",{k % 2}' for k in range(ROWS)]
    (folder / "people.csv").write_text("\n".join(["city,y", *rows]))
    samples = read(Data(file="people.csv", target="y"), folder)
    assert samples.x.shape == (ROWS, 2)
    assert samples.notes[-1] == "city: one-hot of 2 values, Oslo\nNorway, Rome, Italy"


def test_arrays_are_found_by_their_names(folder: Path):
    plain = read(Data(file="arrays.npz"), folder)
    assert plain.names.tolist() == list(map(str, range(ROWS)))
    named = read(Data(file="arrays.npz", features=["x"], target="y", id="who"), folder)
    assert named.digest() == plain.digest()
    assert named.ids is not None


def test_images_are_classes_by_folder(folder: Path):
    samples = read(Data(images="pets"), folder)
    assert samples.x.shape == (24, 3, 6, 8)
    assert samples.y.tolist() == [0] * 12 + [1] * 12
    assert samples.x[13, :, 0, 0].tolist() == pytest.approx([110 / 255, 0, 1])
    assert samples.names[13] == "dog/001.png"
    assert samples.notes == ("images in rgb, pixels from 0 to 1", "the classes 0 = cat, 1 = dog")
    small = read(Data(images="pets", size=4, colour="grey"), folder)
    assert small.x.shape == (24, 1, 4, 4)
    assert "scaled to 4 x 4" in small.notes[0]


def test_a_notebook_reads_what_an_audit_file_reads(folder: Path):
    for source, keys in (
        ("people.csv", {"target": "income", "id": "name", "categories": "ordinal"}),
        ("arrays.npz", {}),
        ("pets", {"size": 4}),
    ):
        kind = "images" if source == "pets" else "file"
        expected = read(Data(**{kind: source}, **keys), folder)
        assert qm.read_samples(folder / source, **keys).digest() == expected.digest()
    with pytest.raises(UserError, match="unknown key tarjet") as refused:
        qm.read_samples(folder / "people.csv", tarjet="income")
    assert "did you mean 'target'" in str(refused.value.hint)
    with pytest.raises(UserError, match="size: Input should be a valid integer"):
        qm.read_samples(folder / "pets", size="4")
    with pytest.raises(UserError, match="there is no column 'incom'"):
        qm.read_samples(folder / "people.csv", target="incom")


def test_an_absolute_path_may_lead_anywhere(folder: Path):
    (folder / "audits").mkdir()
    assert len(read(Data(file=str(folder / "people.csv"), target="income", id="name"), folder / "audits")) == ROWS


class Trap:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, trace: Path):
        self._trace = trace

    def __reduce__(self):
        return Path.touch, (self._trace,)


ENDS = ("pkl", "pickle", "pt", "pth", "bin", "joblib", "npy", "npz", "csv", "parquet", "PKL")


@pytest.mark.parametrize("name", [f"trap.{end}" for end in ENDS])
def test_a_hostile_pickle_is_refused_whatever_it_is_called_and_nothing_runs(folder: Path, name: str):
    trace = folder / "sprung"
    bomb = pickle.dumps(Trap(trace))
    pickle.loads(bomb)  # the trap works
    trace.unlink()
    (folder / name).write_bytes(bomb)
    with pytest.raises(UserError, match=r"data\.file") as refused:
        read(Data(file=name, **({} if name.endswith("npz") else {"target": "income"})), folder)
    assert name in str(refused.value)
    assert not trace.exists()


def test_objects_inside_an_archive_are_refused_and_nothing_runs(folder: Path):
    trace = folder / "sprung"
    np.savez(folder / "trap.npz", x=np.array([Trap(trace)] * ROWS), y=np.arange(ROWS))
    with pytest.raises(UserError) as refused:
        read(Data(file="trap.npz"), folder)
    assert "pickled objects are refused" in (refused.value.hint or "")
    assert not trace.exists()


def test_an_image_that_is_a_pickle_is_refused_and_nothing_runs(folder: Path):
    trace = folder / "sprung"
    (folder / "pets" / "cat" / "000.png").write_bytes(pickle.dumps(Trap(trace)))
    with pytest.raises(UserError, match=r"cannot read the image cat/000\.png"):
        read(Data(images="pets"), folder)
    assert not trace.exists()


def edited(old: str, new: str) -> str:
    text = "\n".join(people())
    assert old in text
    return text.replace(old, new, 1)


CSV = {"file": "people.csv", "target": "income"}

BROKEN = [
    # what the table holds, the keys of [data], the message, the hint
    (edited("p3,23", "p3,"), CSV, "column 'age' has 1 missing values, in row 3", "fill them or drop those rows"),
    (edited("p3,23", "p3,NaN"), CSV, "column 'age' has 1 missing values, in row 3", "yours to decide"),
    (edited("p3,23", "p3, ? "), CSV, "column 'age' has 1 missing values, in row 3", ""),
    (edited("p3,23,Rome", "p3,23,"), CSV, "column 'city' has 1 missing values, in row 3", ""),
    (
        "\n".join(people()).replace("Rome", "N/A"),
        CSV,
        "'city' has 8 missing values, in rows 0, 3, 6, 9, 12 and 3 more",
        "",
    ),
    (edited("Rome,1,low", "Rome,1,"), CSV, "data.target: column 'income' has 1 missing values, in row 3", ""),
    (edited("p3,", ","), CSV | {"id": "name"}, "data.id: column 'name' has 1 missing values, in row 3", ""),
    (edited("p3,", "p2,"), CSV | {"id": "name"}, "ids: 1 stand for several samples, the first is ['p2']", ""),
    (edited("p3,23", "p3"), CSV, "row 3 of people.csv has 4 values, the header names 5 columns", "in double quotes"),
    (edited("p3,23", "p3,23,23"), CSV, "row 3 of people.csv has 6 values", ""),
    (edited("p3,23", "p3,inf"), CSV | {"id": "name"}, "x: 1 samples hold NaN or infinity, the first at row 3", ""),
    (edited("p3,23", "p3,1e99"), CSV | {"id": "name"}, "x: 1 samples hold NaN or infinity", "float32"),
    ("\n".join(people()[:10]), CSV, "expected at least 20 samples, got 9", ""),
    (people()[0], CSV, "people.csv holds a header and no rows", ""),
    ("", CSV, "data.file: people.csv is empty", ""),
    ("\n\n\n", CSV, "data.file: people.csv is empty", ""),
    (edited("owner", "age"), CSV, "people.csv names the column 'age' twice", ""),
    ('a,b\n"', CSV, "people.csv is no CSV: unexpected end of data", ""),
    ("a,b\n" + "x" * 200_000, CSV, "people.csv is no CSV: field larger than field limit", ""),
    ("\n".join(people(";")), CSV, "the whole header of people.csv is one column", "separated by ';'"),
    (None, CSV | {"target": "incom"}, "data.target: there is no column 'incom'", "did you mean 'income'"),
    (None, CSV | {"features": ["agee"]}, "data.features: there is no column 'agee'", "did you mean 'age'"),
    (None, CSV | {"features": ["age", "age"]}, "the column 'age' is named twice", ""),
    (None, CSV | {"features": ["age", "income"]}, "['income'] is the target or the id", "take it out"),
    (None, CSV | {"features": []}, "no column is left to learn from", ""),
    (None, CSV | {"id": "nam"}, "data.id: there is no column 'nam'", "did you mean 'name'"),
    (None, CSV | {"categorical": ["incom"]}, "data.categorical: there is no column 'incom'", "known: name, age"),
    (None, CSV | {"categories": "onehot"}, "data.categories: unknown rule 'onehot'", "did you mean 'one-hot'"),
    (None, CSV | {"scale": "standart"}, "data.scale: unknown rule 'standart'", "did you mean 'standard'"),
    (None, CSV | {"separator": ", "}, "the separator must be one character, got ', '", ""),
    (None, CSV | {"columns": ["a", "b"]}, "row 0 of people.csv has 5 values, the header names 2", ""),
    (None, {"file": "people.csv"}, "data.target: say which column is to be predicted", "known: name, age, city"),
    (None, CSV | {"size": 32}, "data.size does not go with a .csv file", "categorical"),
    (None, {"images": "pets", "target": "y"}, "data.target does not go with images", "colour, images, memory, size"),
    (None, {"file": "arrays.npz", "scale": "standard"}, "data.scale does not go with a .npz file", ""),
    (None, {"file": "arrays.npz", "target": "labels"}, "arrays.npz holds x, y, who, not ['labels']", "np.savez"),
    (None, {"file": "arrays.npz", "features": ["x", "y"]}, "one of them is the target", "take it out"),
    (None, {"file": "people.json"}, "expected a file that ends in .npz, .csv, .parquet, got people.json", "tables"),
    (None, {"file": "people"}, "expected a file that ends in .npz, .csv, .parquet, got people", ""),
    (None, {"file": "model.pkl"}, "model.pkl may be a pickle, which can run code", "np.savez"),
    (None, {"file": "poeple.csv", "target": "income"}, "poeple.csv: no such file", "beside it there is people.csv"),
    (None, {"file": "none/people.csv", "target": "y"}, "no such file or folder", "there is no folder"),
    (
        None,
        {"file": "../people.csv", "target": "y"},
        "../people.csv leads out of the folder of the audit file",
        "absolute",
    ),
    (None, {"file": "a/../../people.csv", "target": "y"}, "leads out of the folder of the audit file", ""),
    (None, {"file": "people\0.csv", "target": "y"}, "expected a path", ""),
    (None, {"file": "x" * 5000 + ".csv", "target": "y"}, "File name too long", ""),
    (None, {"images": "people.csv"}, "people.csv is no folder", "a folder per class"),
    (None, {"images": "pets/cat"}, "000.png lies beside the folders of the classes", "cat/001.png"),
    (None, {"images": "pets", "colour": "gray"}, "unknown colour 'gray'", "did you mean 'grey'"),
    (None, {"images": "pets", "size": 0}, "size must lie between 1 and 4096, got 0", ""),
]


@pytest.mark.parametrize(("text", "keys", "message", "hint"), BROKEN)
@pytest.mark.usefixtures("unchecked")
def test_a_broken_source_is_told_what_is_wrong(folder: Path, text: str | None, keys: Any, message: str, hint: str):
    if text is not None:
        (folder / "people.csv").write_text(text)
    with pytest.raises(UserError) as refused:
        read(Data(**keys), folder)
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [[1], [2]] * 12, "income": [0, 1] * 12}, "column 'a' holds list<"),
        ({"a": [1, None] * 12, "income": [0, 1] * 12}, "column 'a' has 12 missing values, in rows 1, 3, 5"),
        ({"a": ["x", None] * 12, "income": [0, 1] * 12}, "column 'a' has 12 missing values"),
        ({"a": [True, None] * 12, "income": [0, 1] * 12}, "column 'a' has 12 missing values"),
        ({"a": [], "income": []}, "people.parquet holds no rows"),
    ],
)
def test_a_broken_parquet_file_is_told_what_is_wrong(folder: Path, columns: dict[str, Any], message: str):
    parquet(folder, columns)
    with pytest.raises(UserError, match="data") as refused:
        read(Data(file="people.parquet", target="income"), folder)
    assert message in str(refused.value)


def test_a_folder_or_garbage_in_place_of_a_file_is_refused(folder: Path):
    for kind in ("csv", "parquet", "npz"):
        (folder / f"folder.{kind}").mkdir()
        (folder / f"garbage.{kind}").write_bytes(b"\xff\xfe\x00garbage")
        for name in (f"folder.{kind}", f"garbage.{kind}"):
            with pytest.raises(UserError, match=name.replace(".", r"\.")):
                read(Data(file=name, **({} if kind == "npz" else {"target": "y"})), folder)


def test_links_that_lead_out_of_the_folder_are_refused(folder: Path):
    (folder / "audits").mkdir()
    (folder / "audits" / "link.csv").symlink_to(folder / "people.csv")
    (folder / "audits" / "loop.csv").symlink_to(folder / "audits" / "loop.csv")
    with pytest.raises(UserError, match=r"link\.csv leads out of the folder of the audit file"):
        read(Data(file="link.csv", target="income"), folder / "audits")
    with pytest.raises(UserError, match=r"cannot read .*loop\.csv"):
        read(Data(file="loop.csv", target="income"), folder / "audits")
    (folder / "pets" / "cat" / "link.png").symlink_to(folder / "people.csv")
    with pytest.raises(UserError, match=r"cat/link\.png is a link that leads out of the folder"):
        read(Data(images="pets"), folder)


def test_a_file_that_the_system_refuses_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("quantmis.files.os.open", refuse)
    with pytest.raises(UserError, match=r"data\.file: cannot read .*people\.csv: Permission denied"):
        read(Data(**CSV), folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pets: (pets / "cat" / "notes.txt").write_text("?"), "cat/notes.txt is no image"),
        (lambda pets: (pets / "cat" / "000.png").write_bytes(b""), "cannot read the image cat/000.png"),
        (lambda pets: (pets / "cat" / "000.png").write_text("no pixels"), "cannot read the image cat/000.png"),
        (lambda pets: Image.new("RGB", (9, 9)).save(pets / "dog" / "000.png"), "dog/000.png has 9 x 9 pixels"),
        (lambda pets: Image.new("RGB", (9, 9)).save(pets / "dog" / "000.png", format="GIF"), "cannot read the image"),
        (lambda pets: (pets / "bird").mkdir(), "the folder bird is empty"),
        (lambda pets: (pets / "cat" / "more").mkdir(), "cat/more is no image"),
    ],
)
def test_a_broken_folder_of_images_is_told_what_is_wrong(folder: Path, spoil: Any, message: str):
    spoil(folder / "pets")
    with pytest.raises(UserError, match=r"data\.images") as refused:
        read(Data(images="pets"), folder)
    assert message in str(refused.value)


def test_an_image_that_was_cut_short_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as other libraries do, for the whole process
    noise = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "pets" / "cat" / "000.png")
    whole = (folder / "pets" / "cat" / "000.png").read_bytes()
    (folder / "pets" / "cat" / "000.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cannot read the image cat/000\.png"):
        read(Data(images="pets"), folder)


def test_a_key_of_files_does_not_go_with_a_function():
    with pytest.raises(UserError, match=r"data\.target does not go with a function"):
        require_fitting(Data(function="module:load", target="y"))


def test_a_column_of_free_text_is_no_category(folder: Path):
    rows = [f"word{k},{k % 2}" for k in range(120)]
    (folder / "people.csv").write_text("\n".join(["review,y", *rows]))
    with pytest.raises(UserError, match="'review' has 120 different values, one-hot takes at most 100") as refused:
        read(Data(file="people.csv", target="y"), folder)
    assert "ordinal" in (refused.value.hint or "")
    assert read(Data(file="people.csv", target="y", categories="ordinal"), folder).x.shape == (120, 1)


def test_classes_keep_their_names(folder: Path):
    samples = read(Data(**CSV, id="name"), folder)
    names = np.array(samples.class_names)
    column = columns_of(Data(**CSV, id="name"), folder)["income"]
    assert names[samples.y].tolist() == column.tolist()
    assert samples.take(np.arange(22)).class_names == samples.class_names
