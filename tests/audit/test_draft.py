"""Claims about `quantmis init`: what lies in a folder becomes an audit file that runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import shipped
from typer.testing import CliRunner

from quantmis.audit.command import audit_file
from quantmis.audit.file.draft import draft
from quantmis.audit.file.sections import read
from quantmis.cli import app
from quantmis.errors import UserError


def never(question: str, choices: Sequence[str]) -> str:
    raise AssertionError(f"asked: {question} {choices}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shipped.files(tmp_path)
    (tmp_path / "audit.toml").unlink()
    head, _, rest = (tmp_path / "digits.csv").read_text().partition("\n")
    (tmp_path / "digits.csv").write_text(head.replace("digit", "label") + "\n" + rest)
    return tmp_path


def test_a_table_a_model_and_weights_become_a_file_that_runs(folder: Path):
    path = draft(folder, "audit.toml", never)
    file = read(path)
    assert (file.data.file, file.data.target, file.data.id) == ("digits.csv", "label", "person")
    assert file.model.function == "shipped_model:net"
    assert file.target is not None
    assert (file.target.column, file.target.members, file.target.non_members) == ("split", "train", "test")
    assert audit_file(path, folder / "out", {}).document.config.depth == "as-is"


def test_where_there_is_a_choice_it_is_asked(folder: Path):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    asked: list[str] = []

    def answer(question: str, choices: Sequence[str]) -> str:
        asked.append(question)
        return choices[0]

    assert read(draft(folder, "audit.toml", answer)).data.file == "digits.csv"
    assert asked == ["Which file holds the data?"]


def test_arrays_and_modules_without_weights_leave_the_target_as_a_comment(tmp_path: Path):
    np.savez(tmp_path / "data.npz", x=np.zeros((30, 2)), y=np.zeros(30))
    (tmp_path / "mine.py").write_text("from torch import nn\n\nclass Net(nn.Module):\n    pass\n")
    file = read(draft(tmp_path, "audit.toml", never))
    assert file.target is None
    assert file.model.function == "mine:Net"


def test_hostile_names_stay_strings(tmp_path: Path):
    name = 'a"]\nb = "c.npz'
    np.savez(tmp_path / name, x=np.zeros((30, 2)), y=np.zeros(30))
    assert read(draft(tmp_path, "audit.toml", never)).data.file == name


def test_no_file_is_overwritten(folder: Path):
    draft(folder, "audit.toml", never)
    with pytest.raises(UserError, match="exists already"):
        draft(folder, "audit.toml", never)


def test_a_folder_without_data_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="there are no data in"):
        draft(tmp_path, "audit.toml", never)


def test_without_a_terminal_a_choice_is_an_error_that_names_it(folder: Path):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    found = CliRunner().invoke(app, ["init", str(folder)])
    assert isinstance(found.exception, UserError)
    assert "There are digits.csv, other.csv" in str(found.exception)


def test_the_schema_of_the_audit_file_is_printed():
    printed = CliRunner().invoke(app, ["schema"]).output
    assert '"An audit file of quantmis"' in printed
    assert '"versions"' in printed
