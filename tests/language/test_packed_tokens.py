"""Rows of packed tokens: a document is a sample, wherever its boundaries come from, read as training read it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import sentences, transformers

import quantmis as qm
from quantmis.audit.config.building import samples_of, target_of
from quantmis.audit.config.sections import parsed
from quantmis.data.packed import documents
from quantmis.data.texts import read_texts
from quantmis.data.tokens import as_context, numbers
from quantmis.errors import UserError

TEXTS = sentences(60)
LENGTH = 64


@pytest.fixture(scope="module")
def tokens(base: Path) -> list[list[int]]:
    """The tokens of each text, closed by the token of the end."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(base)
    rows = tokenizer([text.lower() for text in TEXTS], add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in rows]


def packed(tokens: list[list[int]], per_row: int = 4) -> list[list[list[int]]]:
    return [tokens[start : start + per_row] for start in range(0, len(tokens), per_row)]


def rows_of(packs: list[list[list[int]]], boundary: str) -> list[dict[str, Any]]:
    rows = list[dict[str, Any]]()
    for pack in packs:
        row: dict[str, Any] = {"input_ids": [token for each in pack for token in each]}
        if boundary == "position_ids":
            row[boundary] = [place for each in pack for place in range(len(each))]
        if boundary == "seq_lengths":
            row[boundary] = list(map(len, pack))
        rows.append(row)
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
        return path
    if path.suffix == ".parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path
    longest = max(len(row["input_ids"]) for row in rows)
    filled = {name: np.zeros((len(rows), longest), dtype=np.int32) for name in (*rows[0], "attention_mask")}
    for number, row in enumerate(rows):
        filled["attention_mask"][number, : len(row["input_ids"])] = 1
        for name, values in row.items():
            filled[name][number, : len(values)] = values
    np.savez(path, **filled)
    return path


@pytest.mark.parametrize("boundary", ["end", "position_ids", "seq_lengths"])
@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_a_document_of_a_packed_row_is_one_sample_with_its_own_tokens(
    base: Path, tokens: list[list[int]], tmp_path: Path, boundary: str, kind: str
):
    path = write(tmp_path / f"train{kind}", rows_of(packed(tokens), boundary))
    samples = qm.Task.causal_lm(base).samples(path, reference=False)
    assert [row[row >= 0].tolist() for row in samples.x] == tokens
    assert samples.y[:, 0].tolist() == [len(row) - 1 for row in tokens]
    assert samples.names.tolist() == [f"train{kind}:{place}" for place in range(1, len(tokens) + 1)]


def test_an_array_of_tokens_and_its_filling_are_read_alike(base: Path, tokens: list[list[int]], tmp_path: Path):
    path = write(tmp_path / "train.npz", rows_of(packed(tokens), "end"))
    read = qm.Task.causal_lm(base).samples(path, reference=False)
    assert [row[row >= 0].tolist() for row in read.x] == tokens
    whole = np.random.default_rng(0).integers(1, 200, (24, 6))
    np.save(tmp_path / "one.npy", whole)
    one = qm.Task.causal_lm(base).samples(tmp_path / "one.npy", reference=False)
    np.testing.assert_array_equal(one.x if one.x.ndim == 2 else one.x[:, 0, :6], whole)


def test_packed_documents_are_the_same_samples_as_their_texts(base: Path, tmp_path: Path):
    task = qm.Task.causal_lm(base)
    texts = task.samples(qm.Texts.of(TEXTS), reference=False)
    own = [[int(token) for token in row if token >= 0] for row in texts.x[:, 0]]
    path = write(tmp_path / "train.jsonl", rows_of(packed(own), "seq_lengths"))
    read = task.samples(path, reference=False)
    np.testing.assert_array_equal(read.x, texts.x)  # the lower case too
    np.testing.assert_array_equal(read.y, texts.y)


def test_what_labels_leave_out_is_context():
    row = {"input_ids": [5, 6, 7, 8], "labels": [-100, 6, -100, 8], "seq_lengths": [2, 2]}
    assert documents(row, None, "row") == [(as_context(5), 6), (as_context(7), 8)]
    assert documents({"input_ids": [5, 2, 6], "attention_mask": [1, 1, 0]}, 2, "row") == [(5, 2)]


def test_labels_say_what_is_scored_and_all_scores_everything(base: Path, tokens: list[list[int]], tmp_path: Path):
    rows = rows_of(packed(tokens, 1), "seq_lengths")
    for row in rows:
        row["labels"] = [-100, -100, *row["input_ids"][2:]]
    path, task = write(tmp_path / "train.jsonl", rows), qm.Task.causal_lm(base)
    divided, every = (task.samples(path, reference=False, loss_on=each) for each in (None, "all"))
    assert divided.y[:, 0].tolist() == [len(row) - 2 for row in tokens]
    assert every.y[:, 0].tolist() == [len(row) - 1 for row in tokens]
    np.testing.assert_array_equal(numbers(divided.x), every.x)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input_ids": [1, -3]}, "input_ids holds no tokens, or one below 0"),
        ({"input_ids": [1.5, 2]}, "input_ids is no list of whole numbers"),
        ({"input_ids": [1, 2, 3], "seq_lengths": [1, 1]}, "add up to 2, and there are 3 tokens"),
        ({"input_ids": [1, 2, 3], "position_ids": [0, 1]}, "2 position_ids for 3 tokens"),
    ],
)
def test_boundaries_that_do_not_fit_are_refused(row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        documents(row, 0, "row 1")


def test_tokens_and_texts_are_not_compared(base: Path, tokens: list[list[int]], tmp_path: Path):
    packs = write(tmp_path / "train.jsonl", rows_of(packed(tokens), "end"))
    (tmp_path / "test.txt").write_text("\n".join(TEXTS))
    with pytest.raises(UserError, match="60 of 120 texts are packed tokens, and the others are not"):
        qm.Task.causal_lm(base).samples([packs, tmp_path / "test.txt"])
    np.savez(tmp_path / "x.npz", tokens=np.zeros((2, 3), dtype=int))
    with pytest.raises(UserError, match="holds tokens, not 'input_ids'"):
        qm.Task.causal_lm(base).samples(tmp_path / "x.npz")
    np.save(tmp_path / "flat.npy", np.arange(4))
    with pytest.raises(UserError, match=r"input_ids of flat.npy is int64 of shape \[4\]"):
        qm.Task.causal_lm(base).samples(tmp_path / "flat.npy")


def test_texts_beside_packed_ones_are_texts(base: Path, tokens: list[list[int]], tmp_path: Path):
    packs, task = write(tmp_path / "train.jsonl", rows_of(packed(tokens), "end")), qm.Task.causal_lm(base)
    with pytest.raises(UserError, match="prefix: 1 of its texts are among those that are audited"):
        task.samples(packs, reference=False, prefix=qm.Texts.of([f"{TEXTS[0].lower()}<s>"]))
    with pytest.raises(UserError, match="corpus: it is of texts, not of chats or tokens"):
        task.samples(packs, reference=False, corpus=read_texts([packs]))


def test_a_column_of_packed_rows_says_who_was_trained_on(base: Path, tokens: list[list[int]], tmp_path: Path):
    rows = rows_of(packed(tokens), "end")
    for place, row in enumerate(rows):
        row["split"] = ("train", "test")[place % 2]
    write(tmp_path / "a.jsonl", rows)
    file = parsed(
        f'kind = "causal-lm"\n[data]\ntexts = "a.jsonl"\n[model]\nfolder = "{base}"\npretrained = false\n[target]\n'
        f'weights = "{base}"\ncolumn = "split"\nmembers = "train"\nnon_members = "test"\n'.encode(),
        tmp_path / "audit.toml",
    )
    samples = samples_of(file, tmp_path)
    target = target_of(file, samples, tmp_path)
    assert target is not None
    assert target.members.tolist() == [place for place in range(len(samples)) if place // 4 % 2 == 0]
