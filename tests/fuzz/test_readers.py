"""Tables, lists of rows, SMILES and policies that users hand over: read whole, or refused with a `UserError`."""

import io
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damage import MANY, harmed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from quantmis.audit.config.target import _rows as rows_of
from quantmis.data import Samples
from quantmis.data.encode import features
from quantmis.data.images import _pixels as pixels_of
from quantmis.data.sources import Data, read
from quantmis.data.table import read_csv
from quantmis.data.texts import read_texts
from quantmis.data.tokens import PADDING, padded
from quantmis.errors import UserError, printable
from quantmis.evidence import Evidence
from quantmis.gate import policy

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Do not use the `random` module inside strategies", "ignore:Generating overly large repr"
    ),
    pytest.mark.usefixtures("unchecked"),  # refusals are ours, not the type checker's
]
CSV = b"""person,age,city,income
ann,31,Rome,1
bob,42,Oslo,0
"cec, the third",53,"Ri""o",1
""" + b"".join(f"p{row},{row},Rome,{row % 2}\n".encode() for row in range(20))
LONG = b"""model,sample,loss,member
0,a,0.1,true
0,b,2.0,false
1,a,1.5,false
1,b,0.2,true
"""
POLICY = policy.EXAMPLE.encode()


def as_npz(**named: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **named)
    return stream.getvalue()


def as_parquet() -> bytes:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    columns = {"model": [0, 0, 1, 1], "sample": [0, 1, 0, 1], "loss": [0.1, 2.0, 1.5, 0.2], "member": [1, 0, 0, 1]}
    parquet.write_table(arrow.table(columns), stream)
    return stream.getvalue()


TABLES: dict[str, Callable[[], bytes]] = {
    "losses.csv": lambda: LONG,
    "losses.npz": lambda: as_npz(losses=np.ones((2, 3)), member=np.eye(2, 3, dtype=bool), label=np.arange(3)),
    "losses.parquet": as_parquet,
}


def read_or_refused(read: Callable[[], object]) -> object:
    """Return what was read, or None where it was refused in words."""
    try:
        return read()
    except UserError as error:
        assert str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("name", TABLES)
@MANY
@given(data=st.data())
def test_a_loss_table_is_read_or_refused(tmp_path: Path, name: str, data):
    path = tmp_path / name
    path.write_bytes(data.draw(harmed(TABLES[name]())))
    found = read_or_refused(lambda: Evidence.from_table(path))
    if isinstance(found, Evidence):
        assert np.isfinite(found.losses).all()
        assert found.member.shape == found.losses.shape


@MANY
@given(
    st.dictionaries(
        st.sampled_from(["losses", "loss", "member", "model", "sample", "signal", "entropy", "label"]),
        st.one_of(
            arrays(st.sampled_from([float, int, bool, "U3"]), st.sampled_from([(), (3,), (2, 3), (0,), (1, 1, 2)])),
            st.lists(st.one_of(st.none(), st.integers(-1, 2), st.floats(), st.text(max_size=2)), max_size=4),
        ),
        max_size=5,
    )
)
def test_a_loss_table_of_any_arrays_is_read_or_refused(columns: dict[str, object]):
    found = read_or_refused(lambda: Evidence.from_table(columns))
    assert found is None or np.isfinite(found.losses).all()


@MANY
@given(harmed(CSV), st.sampled_from([",", ";", "\t"]))
def test_a_csv_is_read_or_refused(tmp_path: Path, content: bytes, separator: str):
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    columns = read_or_refused(lambda: read_csv(path, "data.file", separator))
    if columns is not None:
        assert len({len(column) for column in columns.values()}) == 1
    asked = Data(file="people.csv", target="income", id="person", separator=separator)
    found = read_or_refused(lambda: read(asked, tmp_path))
    if isinstance(found, Samples):
        assert np.isfinite(found.x).all()
        assert len(found.x) == len(found.y) == len(found.ids)


@MANY
@given(
    st.dictionaries(
        st.text(max_size=3),
        arrays(st.sampled_from([float, "U4"]), 5, elements=None),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["one-hot", "ordinal", "other"]),
    st.sampled_from(["none", "standard", "other"]),
)
def test_features_are_finite_numbers_or_refused(columns: dict[str, np.ndarray], rule: str, scale: str):
    finite = {name: np.nan_to_num(each) if each.dtype.kind == "f" else each for name, each in columns.items()}
    finite = {name: np.clip(each, -1e100, 1e100) if each.dtype.kind == "f" else each for name, each in finite.items()}
    found = read_or_refused(lambda: features(finite, list(finite), "data", rule, (), scale))
    if found is not None:
        assert found.x.shape[0] == 5
        assert np.isfinite(found.x).all()


@MANY
@given(harmed(b"0\n1\n2\n"), st.booleans())
def test_a_list_of_rows_is_read_or_refused(tmp_path: Path, content: bytes, named: bool):
    path = tmp_path / "members.txt"
    path.write_bytes(content)
    samples = Samples(np.zeros((20, 1)), np.zeros(20, dtype=int), [str(row) for row in range(20)] if named else None)
    found = read_or_refused(lambda: rows_of(path, samples, "target.members"))
    assert found is None or found.dtype.kind == "i"


def as_image() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(0, 60_000, 1000, dtype=np.uint16).reshape(6, 10)).save(stream, "png")
    return stream.getvalue()


@MANY
@given(harmed(as_image()))
def test_an_image_is_read_or_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    pixels = read_or_refused(lambda: pixels_of(path, "data.images", 4, "rgb"))
    assert pixels is None or (pixels.shape == (3, 4, 4) and 0 <= pixels.min() <= pixels.max() <= 1)


def parquet_texts() -> bytes:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    parquet.write_table(arrow.table({"id": [1, 2, 3], "text": ["one", "t\u00e9", None]}), stream)
    return stream.getvalue()


TEXTS = {
    "t.txt": "one\ntwo\n\nthrée\n".encode(),
    "t.jsonl": b'{"text": "one"}\n{"text": "t\\u00e9"}\n',
    "t.csv": b'id,text\n1,"a ""b"""\n2,c\n',
    "t.parquet": parquet_texts,
}


@pytest.mark.parametrize("name", TEXTS)
@MANY
@given(data=st.data(), by=st.sampled_from(["line", "paragraph"]))
def test_texts_are_read_or_refused(tmp_path: Path, name: str, data, by: str):
    path = tmp_path / name
    whole = TEXTS[name]
    path.write_bytes(data.draw(harmed(whole() if callable(whole) else whole)))
    found = read_or_refused(lambda: read_texts([path], by=by))
    assert found is None or ("".join(found.texts).encode() and "\0" not in "".join(found.texts))


@MANY
@given(harmed(as_npz(x=np.eye(24), y=np.arange(24), who=np.arange(24).astype(str))))
def test_arrays_are_read_or_refused(tmp_path: Path, content: bytes):
    (tmp_path / "t.npz").write_bytes(content)
    found = read_or_refused(lambda: read(Data(file="t.npz", id="who"), tmp_path))
    assert found is None or np.isfinite(found.x).all()


@MANY
@given(st.text(max_size=60))
def test_whatever_a_message_quotes_is_one_line_that_is_shown(text: str):
    error = UserError(text, hint=text)
    for line in (str(error), error.hint):
        assert "\n" not in line
        assert "##[" not in line
        assert not [letter for letter in line if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
    assert printable(str(error)) == str(error)


@MANY
@given(st.lists(st.lists(st.one_of(st.integers(-2, 9), st.floats(), st.text(max_size=1)), max_size=3), max_size=4))
def test_token_sequences_are_padded_or_refused(rows: list[list[object]]):
    table = read_or_refused(lambda: padded(rows))
    if table is not None:
        assert [[token for token in row if token != PADDING] for row in table.tolist()] == rows


@MANY
@given(st.lists(st.one_of(st.none(), st.text("CNO()=1c[]@H+-.%#x ", max_size=12)), min_size=1, max_size=5))
def test_smiles_are_read_or_refused(smiles: list[str | None]):
    clean = pytest.importorskip("quantmis.data.molecules.smiles").clean
    pytest.importorskip("rdkit")
    written = ["" if each is None else each for each in smiles]
    found = read_or_refused(lambda: clean(written, np.arange(len(written)) * 1.0, skip_unparsable=True, fewest=1))
    assert found is None or len(found.smiles) <= len(smiles)


@MANY
@given(harmed(POLICY))
def test_a_policy_is_read_or_refused(content: bytes):
    found = read_or_refused(lambda: policy.parse(content))
    if found is not None:
        assert found.model_dump(exclude_defaults=True)


def test_the_undamaged_files_are_read(tmp_path: Path):
    for name, content in TABLES.items():
        (tmp_path / name).write_bytes(content())
        assert Evidence.from_table(tmp_path / name).models == 2
    (tmp_path / "people.csv").write_bytes(CSV)
    found = read(Data(file="people.csv", target="income", id="person"), tmp_path)
    assert found.ids.tolist()[:3] == ["ann", "bob", "cec, the third"]
    assert re.search("Ri", " ".join(found.notes))
    assert policy.parse(POLICY).model_dump(exclude_defaults=True)
