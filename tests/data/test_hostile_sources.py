"""Claims about hostile and unlucky files: each is read right or refused in words, and none hangs or bursts."""

import io
import json
import os
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import quantmis as qm
from quantmis.data.archives import read_archive, read_array
from quantmis.data.sources import Data, read
from quantmis.data.texts import read_texts
from quantmis.errors import UserError, printable, require
from quantmis.evidence import Evidence
from quantmis.files import opened, private_folder, write_atomically
from quantmis.registry import suggestion

ROWS = 24


def table(folder: Path, header: str, row: Callable[[int], str], name: str = "t.csv", rows: int = ROWS) -> Path:
    path = folder / name
    path.write_text("\n".join([header, *map(row, range(rows))]) + "\n", encoding="utf-8")
    return path


def refused(call: Callable[[], object], message: str, hint: str = "") -> None:
    with pytest.raises(UserError) as error:
        call()
    assert message in str(error.value), str(error.value)
    assert hint in (error.value.hint or ""), error.value.hint


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Hold a former hang to a limit that a slow machine keeps too."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def samples_of(path: Path, **keys: Any) -> qm.Samples:
    return qm.read_samples(path, **{"target": "y", **keys})


# what is no file


@pytest.mark.parametrize("name", ["t.csv", "t.npz", "t.parquet"])
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device"])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path, name: str, kind: str):
    path = tmp_path / name
    {
        "a pipe": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "a device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    with within(5):
        refused(lambda: read(Data(file=str(path), target="y"), tmp_path), f"is {kind}")
        refused(lambda: Evidence.from_table(path), f"is {kind}")


@pytest.mark.parametrize("name", ["t.txt", "t.jsonl", "t.csv", "t.parquet"])
def test_texts_are_read_from_files_alone(tmp_path: Path, name: str):
    os.mkfifo(tmp_path / name)
    refused(lambda: read_texts([tmp_path / name]), "is a pipe")


def test_a_file_that_is_exchanged_for_a_pipe_while_it_is_opened_is_refused(tmp_path: Path, monkeypatch: Any):
    path, pipe = tmp_path / "file", tmp_path / "pipe"
    path.write_text("x")
    os.mkfifo(pipe)
    before = os.stat(path)
    monkeypatch.setattr("quantmis.files.os.stat", lambda _: before)
    refused(lambda: opened(pipe), "is a pipe")


# numbers that are none


def test_python_alone_takes_1_2_for_a_number(tmp_path: Path):
    path = table(tmp_path, "a,y", lambda row: f"{'1_2' if row == 3 else row / 7},{row % 2}")
    refused(lambda: samples_of(path), "column 'a' holds numbers as text, such as '1_2' in row 3", "categorical")


@pytest.mark.parametrize("odd", ['"1,234"', '"1,5"', "1 234", "1.234.567", "1'000"])
def test_a_target_that_is_written_otherwise_is_not_the_rank_of_a_word(tmp_path: Path, odd: str):
    path = table(tmp_path, "a,y", lambda row: f"{row % 5},{odd if row % 2 else row / 7}")
    refused(lambda: samples_of(path), "data.target: column 'y' holds numbers as text", "decimal = ")
    assert samples_of(path, categorical=["y"]).y.max() == 12  # twelve numbers and the odd one: classes, if so wished


PEOPLE = [
    "{}%",
    "${}",
    "\u20ac {}",
    "({})",
    "\u2212{}",
    "\uff11{}",
    "\u0661\u0662{}",
    "{} kg",
    "{}.5 mm",
    "1,00,1{:02}",
    "{} \u20ac",
]


@pytest.mark.parametrize("written", PEOPLE)
def test_numbers_as_people_write_them_are_no_words(tmp_path: Path, written: str):
    cell = lambda row: f'"{written.format(row)}"'  # noqa: E731 it is used twice
    path = table(tmp_path, "a,y", lambda row: f"{row % 5},{cell(row)}")
    refused(lambda: samples_of(path), "data.target: column 'y' holds numbers as text", "categorical")
    path = table(tmp_path, "a,y", lambda row: f"{cell(row)},{row % 2}")
    refused(lambda: samples_of(path), "data.features: column 'a' holds numbers as text", "categorical")
    assert samples_of(path, categorical=["a"]).x.shape == (ROWS, ROWS)


@pytest.mark.parametrize("word", ["{} months", "class {}", "{}0-{}9", "Q{}", "{}+", "A{}"])
def test_categories_with_numbers_in_them_are_categories(tmp_path: Path, word: str):
    path = table(tmp_path, "a,y", lambda row: f"{word.format(row % 3, row % 3)},{row % 2}")
    assert samples_of(path).x.shape == (ROWS, 3)


@pytest.mark.parametrize("word", ["{}/7", "0x{:03x}", "about {}", "name{}"])
def test_values_of_their_own_in_most_rows_are_no_categories(tmp_path: Path, word: str):
    path = table(tmp_path, "a,y", lambda row: f"{row % 5},{word.format(row)}")
    refused(lambda: samples_of(path), f"column 'y' holds {ROWS} different values in {ROWS} rows", "categorical")
    path = table(tmp_path, "a,y", lambda row: f"{word.format(row)},{row % 2}")
    refused(lambda: samples_of(path), f"column 'a' holds {ROWS} different values in {ROWS} rows", "categorical")
    assert samples_of(path, categories="ordinal").x.shape == (ROWS, 1)


def test_decimal_commas_and_thousands_are_read_where_they_are_declared(tmp_path: Path):
    path = table(tmp_path, "a;y", lambda row: f"{row},5;1.{row:03},25")
    found = samples_of(path, separator=";", decimal=",", thousands=".")
    assert found.x[:3, 0].tolist() == [0.5, 1.5, 2.5]
    assert found.y[:3].tolist() == [1000.25, 1001.25, 1002.25]
    refused(lambda: samples_of(path, separator=";", decimal=","), "data.target: column 'y' holds numbers as text")
    refused(lambda: samples_of(path, separator=";"), "holds numbers as text", 'decimal = ","')
    refused(lambda: samples_of(path, separator=";", decimal=";"), "data.decimal: expected one of '.', ','")
    refused(lambda: samples_of(path, separator=";", decimal=",", thousands=","), "is the decimal mark already")


@pytest.mark.parametrize("wrong", ["1.2345,0", "1234.567,0", ".123,0", "1.5"])
def test_thousands_stand_where_they_do(tmp_path: Path, wrong: str):
    path = table(tmp_path, "a;y", lambda row: f"{wrong if row == 2 else row};{row % 2}")
    refused(lambda: samples_of(path, separator=";", decimal=",", thousands="."), f"such as {wrong!r} in row 2")


def test_ids_and_groups_are_the_text_that_they_are(tmp_path: Path):
    path = table(tmp_path, "who,where,a,y", lambda row: f"00{row:02},{row % 4}_0,{row % 5},{row % 2}")
    found = samples_of(path, id="who", groups="where")
    assert found.names[:2].tolist() == ["0000", "0001"]
    assert found.groups is not None
    assert found.groups[:2].tolist() == ["0_0", "1_0"]
    assert found.x.shape == (ROWS, 1)
    path = table(tmp_path, "who,a,y", lambda row: f"{row}_00,{row % 5},{row % 2}")
    assert samples_of(path, id="who").names[12] == "12_00"
    path = table(tmp_path, "who,a,y", lambda row: f"{2**60 + row},{row % 5},{row % 2}")
    assert samples_of(path, id="who").names[1] == str(2**60 + 1)


def test_codes_with_zeros_before_them_are_categories(tmp_path: Path):
    path = table(tmp_path, "zip,y", lambda row: f"0{row % 3},{row % 2}")
    assert samples_of(path).x.shape == (ROWS, 3)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (",a,y", lambda row: f"{row},{row % 5},{row % 2}"),
        ("Unnamed: 0,a,y", lambda row: f"{row},{row % 5},{row % 2}"),
        ("Unnamed: 0,a,y", lambda row: f"{row * 3 % 7},{row % 5},{row % 2}"),
        ("number,a,y", lambda row: f"{row + 1},{row % 5},{row % 2}"),
        ("number,a,y", lambda row: f"{(row * 7 + 3) % ROWS},{row % 5},{row % 2}"),
        ("index,a,y", lambda row: f"{row * 3 % 7},{row % 5},{row % 2}"),
        ("level_0,a,y", lambda row: f"{row * 3 % 7},{row % 5},{row % 2}"),
    ],
)
def test_the_index_of_a_saved_frame_is_no_feature_unless_it_is_named(tmp_path: Path, header: str, row: Any):
    path, name = table(tmp_path, header, row), header.split(",", maxsplit=1)[0]
    refused(lambda: samples_of(path), f"data.features: column {name!r}", "a saved index")
    assert samples_of(path, features=["a"]).x.shape == (ROWS, 1)
    assert samples_of(path, features=[name, "a"]).x.shape == (ROWS, 2)
    if "*" not in name and len({row(k).split(",")[0] for k in range(ROWS)}) == ROWS:
        assert samples_of(path, id=name).x.shape == (ROWS, 1)


@pytest.mark.parametrize("name", [None, "person"])
def test_the_index_that_pandas_wrote_is_known_by_its_file(tmp_path: Path, name: str | None):
    pandas = pytest.importorskip("pandas")
    order = np.random.default_rng(0).permutation(5 * ROWS)[:ROWS]
    frame = pandas.DataFrame({"a": np.arange(ROWS) % 5, "y": np.arange(ROWS) % 2}, index=pandas.Index(order, name=name))
    frame.to_parquet(tmp_path / "t.parquet")
    called = name or "__index_level_0__"
    refused(
        lambda: samples_of(tmp_path / "t.parquet"), f"column {called!r} is the index of a saved data frame", "id = "
    )
    assert samples_of(tmp_path / "t.parquet", id=called).names[:2].tolist() == [str(each) for each in order[:2]]
    assert samples_of(tmp_path / "t.parquet", features=["a", called]).x.shape == (ROWS, 2)
    frame.reset_index(drop=True).to_parquet(tmp_path / "t.parquet")
    assert samples_of(tmp_path / "t.parquet").x.shape == (ROWS, 1)


# encodings


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.jsonl"])
def test_another_encoding_is_named(tmp_path: Path, code: str, name: str):
    (tmp_path / name).write_bytes(("text,y\n" + "a,1\n" * ROWS).encode(code))
    refused(lambda: read_texts([tmp_path / name]), "no text in UTF-8 but UTF-", "iconv")
    if name == "t.csv":
        refused(lambda: samples_of(tmp_path / name), "no text in UTF-8 but UTF-")


def test_lone_surrogates_and_nul_are_no_text(tmp_path: Path):
    head = json.dumps({"text": "x" * 5000}) + "\n"
    (tmp_path / "t.jsonl").write_text(head + '{"text": "\\ud800"}\n{"text": "a\\u0000b"}\n{"text": "good"}\n')
    found = read_texts([tmp_path / "t.jsonl"])
    assert found.texts[1:] == ("good",)
    assert found.notes == ("t.jsonl: 2 texts; left out: 1 no UTF-8, 1 with NUL in them",)


def test_keys_and_columns_that_are_there_twice_are_refused(tmp_path: Path):
    (tmp_path / "t.jsonl").write_text('{"text": "a", "text": "b"}\n')
    refused(lambda: read_texts([tmp_path / "t.jsonl"]), "it says a key twice")
    (tmp_path / "t.csv").write_text("text,text\na,b\n")
    refused(lambda: read_texts([tmp_path / "t.csv"]), "names the column 'text' twice")


def test_a_file_without_any_text_is_refused(tmp_path: Path):
    (tmp_path / "t.txt").write_bytes(b"\xff\n\n")
    refused(
        lambda: read_texts([tmp_path / "t.txt"]), "there is no text in t.txt: 0 texts; left out: 1 empty, 1 no UTF-8"
    )


def test_reading_texts_leaves_the_limit_of_csv_fields_as_it_was(tmp_path: Path):
    import csv

    before = csv.field_size_limit()
    (tmp_path / "t.csv").write_text("text\n" + "x" * 200_000 + "\n")
    assert len(read_texts([tmp_path / "t.csv"]).texts[0]) == 200_000
    assert csv.field_size_limit() == before


def test_file_names_that_are_no_utf_8_are_escaped(tmp_path: Path):
    for kind in (b"cat", b"d\xffg"):
        home = os.fsencode(tmp_path) + b"/pets/" + kind
        os.makedirs(home)
        for number in range(12):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(Path(os.fsdecode(home)) / f"{number}.png")
    found = qm.read_samples(tmp_path / "pets")
    assert found.names[12] == "d\\xffg/0.png"
    json.dumps([*found.names, *found.notes]).encode()
    refused(lambda: read(Data.model_construct(file="\ud800.csv", target="y"), tmp_path), "cannot read")


# hangs and bombs


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_short_lines_make_a_paragraph_in_no_time(tmp_path: Path):
    (tmp_path / "t.txt").write_text("a\n" * 300_000)
    with within(8):
        assert len(read_texts([tmp_path / "t.txt"], by="paragraph").texts[0]) == 599_999


@pytest.mark.usefixtures("unchecked")
def test_thousands_of_columns_are_read_in_no_time(tmp_path: Path):
    names = [f"column_{number}" for number in range(4000)]
    path = table(tmp_path, ",".join([*names, "y"]), lambda row: ",".join([str(row % 7)] * 4000 + [str(row % 2)]))
    with within(10):
        assert samples_of(path).x.shape == (ROWS, 4000)
    with within(10):
        refused(lambda: samples_of(path, features=["colum_17"]), "there is no column 'colum_17'", "did you mean 'colum")


def test_a_suggestion_takes_no_time_and_no_page_whatever_names_there_are():
    with within(5):
        said = suggestion("a" * 50, ["b" * 100_000, *(f"{'a' * 49}{number}" for number in range(20_000))])
    assert "and 19,901 more" in said
    assert len(printable(said)) <= 4100


def claiming(path: Path, shape: str, content: bytes) -> Path:
    """Write an archive whose array says that it has another shape than its bytes have."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x", "y", "losses", "member"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content)
    return path


@pytest.mark.parametrize("shape", ["(2147483648,)", "(99999999999, 99999999999)", "(-1,)", "(-2, -4)", "(3,)"])
def test_an_array_that_claims_another_size_than_it_has_is_refused(tmp_path: Path, shape: str):
    path = claiming(tmp_path / "t.npz", shape, b"\0" * 64)
    refused(lambda: qm.read_samples(path), "its header speaks of" if shape != "(-2, -4)" else "cannot read")
    refused(lambda: Evidence.from_table(path), "the loss table: cannot read")


def test_what_takes_much_more_than_its_file_is_refused_unless_it_may(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("quantmis.data.ceiling.SPARE", 2**26)
    path = tmp_path / "t.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**14, 1024)})
        for _ in range(2**7):
            file.write(bytes(2**20))
    assert path.stat().st_size < 1_000_000
    refused(lambda: qm.read_samples(path), "would take 0.1 GiB of memory, more than 0.1", "[data] memory = 1 (GiB)")
    refused(lambda: Evidence.from_table(path), "would take 0.1 GiB")
    refused(lambda: qm.read_samples(path, memory=0.2), "t.npz holds x, not ['y']")
    refused(lambda: qm.read_samples(path, memory=float("inf")), "memory: Input should be a finite number")
    refused(lambda: qm.read_samples(path, memory=-1.0), "memory: Input should be greater than 0")


def test_an_archive_with_two_arrays_of_one_name_is_refused(tmp_path: Path):
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.npy", b"")
    refused(lambda: read_archive(path, "data"), "two arrays called 'x'")


def test_arrays_are_what_numpy_reads(tmp_path: Path, rng: np.random.Generator):
    arrays = {
        "a": rng.normal(size=(3, 4)),
        "b": np.asfortranarray(rng.integers(0, 9, (2, 5))),
        "c": np.array(["x", "yz"]),
    }
    arrays["d"] = np.array(2.5)
    arrays["e"] = np.arange(4, dtype=">i4")
    np.savez_compressed(tmp_path / "t.npz", **arrays)
    found = read_archive(tmp_path / "t.npz", "data")
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
        np.save(tmp_path / "t.npy", expected)
        np.testing.assert_array_equal(read_array(tmp_path / "t.npy", "data"), expected)
    (tmp_path / "t.npy").write_bytes((tmp_path / "t.npy").read_bytes()[:-3])
    refused(lambda: read_array(tmp_path / "t.npy", "data"), "its header speaks of 16 bytes, and 13 are there")


def test_numbers_of_another_byte_order_are_turned_round():
    found = qm.Samples(np.arange(40, dtype=">i4").reshape(20, 2), np.zeros(20))
    assert found.x.dtype.isnative
    assert found.x[1].tolist() == [2, 3]


def test_one_long_cell_does_not_blow_up_a_column(tmp_path: Path):
    path = table(tmp_path, "a,y", lambda row: f"{'x' * 130_000 if row == 0 else 'b'},{row % 2}", rows=5000)
    with within(10):
        refused(lambda: samples_of(path), "one value is much longer than the others, would take 2.4 GiB", "memory = 3")


def test_a_parquet_file_that_says_one_thing_many_times_is_refused(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("quantmis.data.ceiling.SPARE", 2**24)
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(100_000, dtype=np.int32)), ["x" * 1000])
    parquet.write_table(arrow.table({"a": column}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with within(10):
        refused(lambda: samples_of(tmp_path / "t.parquet", target="a"), "of memory, more than")


@pytest.mark.slow
def test_one_hot_columns_that_would_take_the_memory_are_refused(tmp_path: Path):
    path = table(
        tmp_path,
        ",".join([*(f"c{number}" for number in range(20)), "y"]),
        lambda row: ",".join([*(f"v{(row + number) % 100}" for number in range(20)), str(row % 2)]),
        rows=1000,
    )
    refused(lambda: samples_of(path, memory=0.004), "data.features: what the columns become would take")
    assert samples_of(path).x.shape == (1000, 2000)


# images


def images(folder: Path, draw: Callable[[int], Image.Image], **options: Any) -> Path:
    for kind in ("cat", "dog"):
        (folder / "pets" / kind).mkdir(parents=True)
        for number in range(12):
            draw(number).save(folder / "pets" / kind / f"{number:02}.png", **options)
    return folder / "pets"


@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("size", [None, 2])
def test_images_of_16_bits_are_not_clipped_to_white(tmp_path: Path, colour: str, size: int | None):
    home = images(tmp_path, lambda number: Image.fromarray(np.full((4, 4), 5000 * number, dtype=np.uint16)))
    keys = {} if size is None else {"size": size}
    found = qm.read_samples(home, colour=colour, **keys)
    assert found.x.shape == (24, 3 if colour == "rgb" else 1, size or 4, size or 4)
    np.testing.assert_allclose(found.x[:12, 0, 0, 0], 5000 * np.arange(12) / 65535, atol=1e-6)


def test_images_stand_as_the_camera_was_held(tmp_path: Path):
    plain = Image.new("L", (6, 4), 0)
    plain.putpixel((5, 0), 255)
    marks = Image.Exif()
    marks[0x0112] = 6  # turned by a quarter, clockwise
    home = images(tmp_path, lambda _: plain, exif=marks)
    found = qm.read_samples(home, colour="grey").x
    assert found.shape == (24, 1, 6, 4)
    assert found[0, 0, 5, 3] == 1


def test_an_image_that_claims_a_gigapixel_is_refused(tmp_path: Path):
    home = images(tmp_path, lambda _: Image.new("L", (4, 4)))
    stream = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(stream, "png")
    (home / "cat" / "00.png").write_bytes(stream.getvalue())
    refused(lambda: qm.read_samples(home, size=8), "00.png has 12000 x 12000 pixels, more than 67,108,864")


def test_images_that_would_take_the_memory_are_refused(tmp_path: Path):
    home = images(tmp_path, lambda _: Image.new("L", (1024, 1024)))
    refused(lambda: qm.read_samples(home, memory=0.2), "24 images of 1024 x 1024 pixels would take")


def test_images_in_train_and_test_are_read_with_their_classes_in_common(tmp_path: Path):
    for part in ("train", "test"):
        images(tmp_path / part, lambda number: Image.new("L", (4, 4), number))
        (tmp_path / part / "pets").rename(tmp_path / f"all-{part}")
        (tmp_path / part).rmdir()
        (tmp_path / "all").mkdir(exist_ok=True)
        (tmp_path / f"all-{part}").rename(tmp_path / "all" / part)
    found = qm.read_samples(tmp_path / "all", colour="grey")
    assert found.x.shape == (48, 1, 4, 4)
    assert found.notes[1] == "the classes 0 = cat, 1 = dog"
    assert [found.names[row] for row in found.below("train")[:2]] == ["train/cat/00.png", "train/cat/01.png"]
    assert (len(found.below("train")), len(found.below("test")), len(found.below("none"))) == (24, 24, 0)
    assert sorted(found.y[found.below("test")].tolist()) == [0] * 12 + [1] * 12


# places and words


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o007])
def test_new_files_honour_the_umask_and_are_private_where_the_data_are(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "own", b"x")
        write_atomically(tmp_path / "shared", b"x", private=False)
        private_folder(tmp_path / "above" / "home")
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"own": 0o600 & ~umask, "shared": 0o666 & ~umask, "above": 0o777 & ~umask}
    assert stat.S_IMODE((tmp_path / "above" / "home").stat().st_mode) == 0o700 & ~umask


def test_a_file_that_is_replaced_keeps_its_permissions_and_leaves_nothing_behind(tmp_path: Path):
    path = tmp_path / "card.md"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    assert [each.name for each in tmp_path.iterdir()] == ["card.md"]


def test_a_link_is_replaced_and_what_it_means_is_not(tmp_path: Path):
    (tmp_path / "other").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "other").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()


def test_a_file_with_the_longest_name_is_written(tmp_path: Path):
    write_atomically(tmp_path / ("n" * 255), b"x")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"x"
    refused(lambda: write_atomically(tmp_path / ("n" * 256), b"x"), "cannot write")
    refused(lambda: write_atomically(tmp_path / "a\0b", b"x"), "cannot write")
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize(
    "hostile",
    ["\n::error::gone", "\x1b[31mred", "a\r::stop", "\u202egnp.exe", "\u2028::error::", "##[error]x", "\x9b31m"],
)
def test_a_message_speaks_in_one_line_and_gives_no_commands(hostile: str):
    error = UserError(f"no tensor {hostile}", hint=f"known: {hostile}")
    for said in (str(error), error.hint or ""):
        assert said.isprintable()
        assert "##[" not in said
    assert str(UserError(str(error))) == str(error)


def test_words_in_every_script_are_shown_as_they_are():
    words = (
        "\u0632\u0628\u0627\u0646\u200c\u0647\u0627, ünï, 模型, 😀"  # the first in Persian, whose letters a mark parts
    )
    assert printable(words) == words
    assert printable("\udcff") == "\\udcff"


def test_a_hint_that_takes_time_is_only_made_where_it_is_needed():
    def never() -> str:
        raise AssertionError

    require(True, "fine", hint=never)
    with pytest.raises(UserError) as found:
        require(False, "not", hint=lambda: "made")
    assert found.value.hint == "made"


def test_a_cell_of_a_table_cannot_speak_in_an_error(tmp_path: Path):
    path = table(tmp_path, '"a\x1b[31m","y\n::error::x"', lambda row: f"{row % 5},{row % 2}")
    refused(lambda: samples_of(path, target="z"), "there is no column 'z'")
    with pytest.raises(UserError) as found:
        samples_of(path, target="z")
    assert (found.value.hint or "").isprintable()
