"""Claims about reading texts: what is a text, what is left out and counted, what is drawn, what memory it takes."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from quantmis.data import Samples
from quantmis.data.text_files import GIGANTIC, LARGEST
from quantmis.data.texts import Texts, read_texts
from quantmis.errors import UserError
from quantmis.models import CausalLM


def written(tmp_path: Path, content: str | bytes, name: str = "notes.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_line_is_a_text_and_keeps_its_place(tmp_path: Path):
    found = read_texts([written(tmp_path, "one\n\n  two\nthree")])
    assert found.texts == ("one", "  two", "three")
    assert found.names == ("notes.txt:1", "notes.txt:3", "notes.txt:4")
    assert found.notes == ("notes.txt: 3 texts; left out: 1 empty",)


def test_a_paragraph_is_what_stands_between_empty_lines(tmp_path: Path):
    found = read_texts([written(tmp_path, "\none\ntwo\n\n\nthree\n")], by="paragraph")
    assert found.texts == ("one\ntwo", "three")


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_column_holds_the_texts(tmp_path: Path, ending: str):
    path, texts = tmp_path / f"notes{ending}", ["to be, or", 'not "to" be']
    if ending == ".jsonl":
        path.write_text("\n".join(json.dumps({"id": 1, "note": text}) for text in texts))
    elif ending == ".csv":
        path.write_text('id,note\n1,"to be, or"\n2,"not ""to"" be"\n')
    else:
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({"note": texts}), path)
    assert read_texts([path], column="note").texts == tuple(texts)
    with pytest.raises(UserError, match="has no column 'notes'") as refused:
        read_texts([path], column="notes")
    assert "did you mean 'note'?" in str(refused.value.hint)


def test_what_is_no_text_is_counted(tmp_path: Path):
    content = b"good\n\xff\xfe broken\n" + b"x" * (LARGEST + 5) + b"\nlast\ngood\n"
    found = read_texts([written(tmp_path, content)])
    assert found.texts == ("good", "last")
    assert found.notes == (f"notes.txt: 3 texts; left out: 1 {GIGANTIC}, 1 no UTF-8, 1 there before",)


def test_null_and_numbers_are_no_texts(tmp_path: Path):
    found = read_texts([written(tmp_path, '{"text": "good"}\n{"text": null}\n{"text": 5}\n', "notes.jsonl")])
    assert found.texts == ("good",)
    assert found.notes == ("notes.jsonl: 1 texts; left out: 2 without a text in that column",)


def test_a_random_choice_is_the_same_for_the_same_seed(tmp_path: Path):
    path = written(tmp_path, "\n".join(f"text {number}" for number in range(500)))
    found = [read_texts([path], at_most=50, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 50
    assert list(found[0].names) == sorted(found[0].names, key=lambda name: int(name.split(":")[1]))
    assert found[0].notes == ("notes.txt: 500 texts, 50 of them drawn at random",)


def test_a_text_in_two_files_is_one_unless_the_files_are_two_sides(tmp_path: Path):
    paths = [written(tmp_path, "both\nfirst\n", "in.txt"), written(tmp_path, "both\nsecond\n", "out.txt")]
    assert read_texts(paths).texts == ("both", "first", "second")
    assert read_texts(paths, distinct=False).texts == ("both", "first", "both", "second")


@pytest.mark.slow
def test_memory_holds_the_texts_that_are_kept_and_not_the_file(tmp_path: Path):
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        file.writelines(f"{number} " + "x" * 200 + "\n" for number in range(100_000))
    tracemalloc.start()
    read_texts([path], at_most=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 20_000_000
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.docx", "text", "texts are read from .txt, .jsonl, .csv, .parquet, .npy, .npz, got notes.docx"),
        ("notes.jsonl", "no json", "line 1 of notes.jsonl is no JSON"),
        ("notes.jsonl", "[1, 2]", "line 1 of notes.jsonl is no JSON object"),
        ("notes.parquet", "nothing", "notes.parquet is no Parquet file"),
        ("notes.csv", "", "notes.csv has no column 'text'"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, message: str):
    with pytest.raises(UserError) as refused:
        read_texts([written(tmp_path, content, name)])
    assert message in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(UserError):
            read_texts([path])


def test_a_list_of_strings_is_texts():
    assert Texts.of(["one", "two"]).names == ("text:1", "text:2")
    with pytest.raises(UserError, match="number 2 is no text but ' '"):
        Texts.of(["one", " "])


def test_what_is_known_without_the_model_keeps_its_groups():
    x, y = np.arange(60).reshape(20, 3), np.ones((20, 3), dtype=np.float32)
    samples = Samples(x, y, [f"t{row}" for row in range(20)], ["a note"], [f"g{row // 2}" for row in range(20)])
    alone = CausalLM().without_models(samples)
    assert alone.groups is not None
    assert (alone.groups.tolist(), alone.names.tolist()) == (samples.groups.tolist(), samples.names.tolist())
    assert alone.y.shape == (20, 2)


def test_texts_know_the_document_that_they_are_part_of(tmp_path: Path):
    rows = [{"text": f"text {row}", "document": f"d{row // 3}"} for row in range(12)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = "\n".join(f"{row['text']},{row['document']}" for row in rows)
    (tmp_path / "t.csv").write_text("text,document\n" + lines)
    for name in ("t.jsonl", "t.csv"):
        found = read_texts([tmp_path / name], groups="document", at_most=8)
        assert found.groups is not None
        assert list(found.groups) == [f"d{int(text.split()[1]) // 3}" for text in found.texts]
        assert read_texts([tmp_path / name]).groups is None
    (tmp_path / "t.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"a \.txt file has no columns"):
        read_texts([tmp_path / "t.txt"], groups="document")
    with pytest.raises(UserError, match="has no column 'documents'"):
        read_texts([tmp_path / "t.csv"], groups="documents")
    (tmp_path / "t.csv").write_text("text,document\n" + lines + "\nlast,")
    with pytest.raises(UserError, match="is of no group"):
        read_texts([tmp_path / "t.csv"], groups="document")
    assert Texts.of(["a", "b"], ["x", "x"]).groups == ("x", "x")
    with pytest.raises(UserError, match="one for each of 2 texts"):
        Texts.of(["a", "b"], ["x"])
