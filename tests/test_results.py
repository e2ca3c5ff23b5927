"""Claims about results.json: it is read back whole, or refused with a reason."""

from pathlib import Path

import pytest
from documents import document

from quantmis import results
from quantmis.errors import UserError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    results.write(document(), tmp_path / "results.json")
    return tmp_path / "results.json"


def test_a_document_is_read_back_the_same(written: Path):
    assert results.read(written) == document()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"schema_version": 1', '"schema_version": 2', "has schema version 2; this quantmis reads version 1"),
        ('"low":', '"low": 9e9, "was":', "must lie in its interval|quantizers"),
        ('"seed":', '"sed":', "config"),
        ('"value":', '"value": NaN, "was":', "finite|no valid result"),
        ('"name": "sign"', '"name": "identity"', "the ranking names other quantizers"),
        ("{", "[", "no valid result"),
    ],
)
def test_a_document_that_was_harmed_is_refused(written: Path, old: str, new: str, message: str):
    text = written.read_text()
    assert old in text
    written.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as refused:
        results.read(written)
    assert str(written) in str(refused.value)
    assert refused.value.hint


def test_a_truncated_document_is_refused(written: Path):
    whole = written.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 5):
        written.write_bytes(whole[:size])
        with pytest.raises(UserError, match="no valid result"):
            results.read(written)


def test_what_cannot_be_read_or_written_says_so(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        results.read(tmp_path)
    with pytest.raises(UserError, match="cannot write"):
        results.write(document(), tmp_path / "none" / "results.json")
    assert list(tmp_path.iterdir()) == []


def test_the_schema_of_the_document_is_published():
    assert "quantizers" in results.json_schema()["properties"]
