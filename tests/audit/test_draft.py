"""Claims about `quantmis init`: what lies in a folder becomes an audit file that runs."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import shipped
from typer.testing import CliRunner

from quantmis.audit.config.discover import CHOOSE
from quantmis.audit.config.draft import draft
from quantmis.audit.config.running import audit_file
from quantmis.audit.config.sections import read
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


@pytest.mark.slow
def test_a_table_a_model_and_weights_become_a_file_that_runs(folder: Path):
    path = draft(folder, "audit.toml", never)
    file = read(path)
    assert (file.data.file, file.data.target, file.data.id) == ("digits.csv", "label", "person")
    assert file.model.function == "shipped_model:net"
    assert file.target is not None
    assert (file.target.column, file.target.members, file.target.non_members) == ("split", "train", "test")
    assert audit_file(path, folder / "out", {}).document.config.depth == "as-is"


@pytest.mark.slow
def test_where_there_is_a_choice_it_is_asked(folder: Path):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    asked: list[str] = []

    def answer(question: str, choices: Sequence[str]) -> str:
        asked.append(question)
        return choices[0]

    assert read(draft(folder, "audit.toml", answer)).data.file == "digits.csv"
    assert asked == ["What holds the data? (or --data)"]


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


@pytest.mark.slow
def test_no_file_is_overwritten(folder: Path):
    draft(folder, "audit.toml", never)
    with pytest.raises(UserError, match="exists already"):
        draft(folder, "audit.toml", never)


def test_a_folder_without_data_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="there are no data in"):
        draft(tmp_path, "audit.toml", never)


@pytest.mark.slow
def test_without_a_terminal_a_choice_is_an_error_that_names_it(folder: Path):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    found = CliRunner().invoke(app, ["init", str(folder)])
    assert isinstance(found.exception, UserError)
    assert "There are digits.csv, other.csv" in str(found.exception)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["2", "other.csv", "nothing\n2"])
def test_on_a_terminal_a_choice_is_answered_by_its_number_or_name(folder: Path, answer: str):
    (folder / "other.csv").write_text("label,b\n1,2\n")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "quantmis", "init", str(folder)]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        os.write(ours, f"{answer}\n".encode())
        said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "  2  other.csv" in errors
    assert ("there is no nothing" in errors) == ("\n" in answer)
    assert "read it, then run" in said
    assert read(folder / "audit.toml").data.file == "other.csv"


@pytest.mark.slow
def test_options_answer_where_nobody_can(folder: Path):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    done = CliRunner().invoke(app, ["init", str(folder), "--data", "digits.csv", "--target", "pixel3"])
    assert done.exit_code == 0
    assert read(folder / "audit.toml").data.target == "pixel3"
    refused = CliRunner().invoke(app, ["init", str(folder), "--name", "b.toml", "--data", "digit.csv"])
    assert str(refused.exception) == "--data: there is no 'digit.csv' here"
    assert "did you mean 'digits.csv'" in str(getattr(refused.exception, "hint", ""))


def test_a_folder_of_images_per_class_is_found(tmp_path: Path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "0.png").write_bytes(b"")
    assert read(draft(tmp_path, "audit.toml", never)).data.images == "pets"


def test_a_model_of_transformers_is_found_by_its_configuration(tmp_path: Path):
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    (tmp_path / "mine.py").write_text("def load():\n    pass\n")
    file = read(draft(tmp_path, "audit.toml", never))
    assert (file.model.transformers, file.model.folder) == ("sequence-classification", "bert")
    assert file.data.function == "mine:load"
    assert file.target is not None
    assert file.target.weights == "bert"


def test_a_language_model_reads_the_texts_beside_it(tmp_path: Path):
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "out.txt").write_text("b\n")
    file = read(draft(tmp_path, "audit.toml", never))
    assert (file.kind, file.data.texts) == ("causal-lm", ["in.txt", "out.txt"])


def test_the_arguments_of_a_model_are_written_down(tmp_path: Path):
    np.savez(tmp_path / "data.npz", x=np.zeros((30, 2)), y=np.zeros(30))
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, n=4, act='relu', f=print): pass\n"
    )
    text = draft(tmp_path, "a.toml", never).read_text()
    assert '# arguments = { n = 4, act = "relu" }' in text
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, n): pass\n"
    )
    assert read(draft(tmp_path, "b.toml", never)).model.arguments == {"n": "CHOOSE"}


@pytest.mark.slow
def test_a_column_of_ones_and_zeros_says_who_was_a_member(folder: Path):
    text = (folder / "digits.csv").read_text().replace("split", "is_train", 1)
    (folder / "digits.csv").write_text(text.replace(",train,", ",1,").replace(",test,", ",0,"))
    file = read(draft(folder, "audit.toml", never))
    assert file.target is not None
    assert (file.target.column, file.target.members, file.target.non_members) == ("is_train", 1, 0)
    assert audit_file(folder / "audit.toml", folder / "out", {}).document.data.samples == 600


def test_the_schema_of_the_audit_file_is_printed():
    printed = CliRunner().invoke(app, ["schema"]).output
    assert '"An audit file of quantmis"' in printed
    assert '"versions"' in printed


def model_in(folder: Path, name: str, architecture: str = "GPT2LMHeadModel") -> None:
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(f'{{"architectures": ["{architecture}"]}}')


def test_an_adapter_beside_its_base_is_the_target_and_texts_are_its_sides(tmp_path: Path):
    model_in(tmp_path, "base")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "base"}')
    for name in ("train.txt", "test.txt", "requirements.txt"):
        (tmp_path / name).write_text("a\n")
    file = read(draft(tmp_path, "audit.toml", never))
    assert file.target is not None
    assert (file.model.folder, file.target.weights) == ("base", "adapter")
    assert (file.data.texts, file.target.members, file.target.non_members) == (
        ["train.txt", "test.txt"],
        "train.txt",
        "test.txt",
    )


def test_a_fine_tuned_model_beside_the_one_that_is_named_is_the_target(tmp_path: Path):
    for name in ("base", "fine-tuned"):
        model_in(tmp_path, name)
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("a\n")
    file = read(draft(tmp_path, "audit.toml", never, {"model": "base"}))
    assert file.target is not None
    assert file.target.weights == "fine-tuned"


def test_a_model_that_lies_alone_is_the_trained_one_and_nothing_starts_from_it(tmp_path: Path):
    model_in(tmp_path, "model")
    (tmp_path / "texts.txt").write_text("a\n")
    file = read(draft(tmp_path, "audit.toml", never))
    assert file.target is not None
    assert (file.model.folder, file.target.weights, file.model.pretrained) == ("model", "model", False)
    assert (file.target.members, file.target.non_members) == (CHOOSE, CHOOSE)  # no file that is not there


def test_lists_of_rows_are_named_where_they_are_there(tmp_path: Path):
    np.savez(tmp_path / "data.npz", x=np.zeros((30, 2)), y=np.zeros(30))
    (tmp_path / "model.pt").write_bytes(b"")
    (tmp_path / "members.txt").write_text("0\n")
    (tmp_path / "non_members.txt").write_text("1\n")
    file = read(draft(tmp_path, "audit.toml", never))
    assert file.target is not None
    assert (file.target.members, file.target.non_members) == ("members.txt", "non_members.txt")


def test_images_in_train_and_test_are_the_sides(tmp_path: Path):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            (tmp_path / "pets" / part / name / "0.png").write_bytes(b"")
    (tmp_path / "model.pt").write_bytes(b"")
    file = read(draft(tmp_path, "audit.toml", never))
    assert file.target is not None
    assert (file.data.images, file.target.members, file.target.non_members) == ("pets", "train", "test")


@pytest.mark.parametrize(
    "name", ["q\"'.npz", "n\n[x]\ny=1.npz", "t\ta\x7f\x1b.npz", "übung ☃ \u2028.npz", "back\\slash.npz"]
)
def test_what_is_written_is_what_is_read_whatever_files_are_called(tmp_path: Path, name: str):
    np.savez(tmp_path / name, x=np.zeros((30, 2)), y=np.zeros(30))
    assert read(draft(tmp_path, "audit.toml", never)).data.file == name


def test_a_name_that_toml_cannot_hold_is_refused_and_nothing_is_written(tmp_path: Path):
    name = os.fsdecode(b"data\xff.npz")
    np.savez(tmp_path / name, x=np.zeros((30, 2)), y=np.zeros(30))
    with pytest.raises(UserError, match="is no Unicode text"):
        draft(tmp_path, "audit.toml", never)
    assert not (tmp_path / "audit.toml").exists()


def test_arguments_of_any_name_are_keys(tmp_path: Path):
    np.savez(tmp_path / "data.npz", x=np.zeros((30, 2)), y=np.zeros(30))
    code = "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, größe, s='\"\\n', f=1e30): pass\n"
    (tmp_path / "mine.py").write_text(code)
    assert read(draft(tmp_path, "a.toml", never)).model.arguments == {"größe": CHOOSE, "s": '"\n', "f": 1e30}


def test_the_index_of_a_frame_becomes_the_id(tmp_path: Path):
    rows = "\n".join(f"{row},{row % 5},{row % 2}" for row in range(30))
    (tmp_path / "data.csv").write_text(f",a,label\n{rows}\n")
    assert read(draft(tmp_path, "audit.toml", never)).data.id == ""


def test_a_file_of_the_user_is_shared_as_the_umask_says(tmp_path: Path):
    np.savez(tmp_path / "data.npz", x=np.zeros((30, 2)), y=np.zeros(30))
    assert (draft(tmp_path, "audit.toml", never).stat().st_mode & 0o777) == 0o666 & ~umask()


def umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before
