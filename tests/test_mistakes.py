"""Claims about a hundred mistakes of new users: each is answered by one line and a hint, before anything is trained."""

import sys
from pathlib import Path

import first_audit
import pytest
from mistakes_table import MISTAKES, Mistake

from quantmis.errors import UserError
from quantmis.models import training


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of a new user."""
    folder = tmp_path_factory.mktemp("first")
    first_audit.write(folder)
    return folder


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None) -> Path:
    """Return that folder, in which nothing can be trained."""
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(training, "train", None)
    return files


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_answered_by_one_line_and_a_hint(mistake: Mistake, folder: Path):
    with pytest.raises(UserError) as refused:
        mistake.make(folder)
    assert mistake.message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert mistake.hint
    assert mistake.hint in (refused.value.hint or "")
    assert "\n" not in (refused.value.hint or "")


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [each for each in MISTAKES if each.mended], ids=lambda mistake: mistake.name)
def test_what_the_hint_says_works(mistake: Mistake, folder: Path):
    assert mistake.mended is not None
    mistake.mended(folder)


def test_there_are_a_hundred_mistakes_and_a_third_of_their_hints_is_followed():
    assert len({each.name for each in MISTAKES}) == len(MISTAKES) >= 150
    assert sum(each.mended is not None for each in MISTAKES) >= len(MISTAKES) / 3
