"""Claims about where an audit file may point and what its numbers may be: refused before anything is trained."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_model import GOOD, MODULE
from PIL import Image

from quantmis.audit.config.running import audit_file
from quantmis.audit.config.sections import parsed, read
from quantmis.audit.config.target import _rows as rows_of
from quantmis.audit.config.target import target_of
from quantmis.data import Samples
from quantmis.data.sources import read as read_samples
from quantmis.errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("own_model_of_tests", None)
    (tmp_path / "own_model_of_tests.py").write_text(MODULE)
    np.savez(tmp_path / "data.npz", x=np.eye(24), y=np.arange(24) % 2)
    (tmp_path / "audit.toml").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shadows = 8", "memory = inf", "audit.memory: Input should be a finite number"),
        ("shadows = 8", "memory = nan", "audit.memory: Input should be a finite number"),
        ("shadows = 8", "held_out = nan", "audit.held_out: Input should be a finite number"),
        ("epochs = 2", "learning_rate = inf", "training.learning_rate"),
        ('file = "data.npz"', 'file = "data.npz"\nmemory = -inf', "data.memory: Input should be a finite number"),
    ],
)
def test_numbers_in_an_audit_file_are_finite(folder: Path, old: str, new: str, message: str):
    assert old in GOOD
    (folder / "audit.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as refused:
        read(folder / "audit.toml")
    assert message in str(refused.value)


@pytest.mark.parametrize("out", ["pets", "pets/report", "pets/cat"])
def test_results_are_never_written_among_the_data(folder: Path, out: str):
    for kind in ("cat", "dog"):
        (folder / "pets" / kind).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (4, 4), 20 * number).save(folder / "pets" / kind / f"{number}.png")
    (folder / "pets.toml").write_text(GOOD.replace('file = "data.npz"', 'images = "pets"\ncolour = "grey"'))
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match="the result would be written into") as refused:
        audit_file(folder / "pets.toml", folder / out, {})
    assert "choose another folder with --out" in (refused.value.hint or "")
    assert sorted(folder.rglob("*")) == before


def test_results_are_never_written_in_place_of_the_data_or_through_a_link(folder: Path):
    (folder / "link").symlink_to(folder / "data.npz")
    for out in ("data.npz", "link"):
        with pytest.raises(UserError, match=r"which is data\.npz or lies in it"):
            audit_file(folder / "audit.toml", folder / out, {})


def test_a_pipe_is_no_audit_file(tmp_path: Path):
    os.mkfifo(tmp_path / "audit.toml")
    with pytest.raises(UserError, match="is a pipe") as refused:
        read(tmp_path / "audit.toml")
    assert "quantmis init" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "content", [b"a." * 400_000 + b"b = 1", b"a = " + b"[" * 900_000, b"[a]\n" * 200_000, b"a = 1" + b"0" * 900_000]
)
def test_a_file_of_a_megabyte_is_refused_in_no_time(content: bytes):
    start = time.process_time()
    with pytest.raises(UserError):
        parsed(content, Path("audit.toml"))
    assert time.process_time() - start < 10


SHIPPED = """
[data]
{data}
[model]
transformers = "image-classification"
folder = "base"
{pretrained}
[target]
weights = "{weights}"
members = "train"
non_members = "test"
"""


def models(folder: Path) -> Path:
    for name in ("base", "tuned"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(b"")
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            (folder / "pets" / part / kind).mkdir(parents=True)
            for number in range(9):
                Image.new("L", (4, 4), 20 * number).save(folder / "pets" / part / kind / f"{number}.png")
    return folder


def target_in(folder: Path, weights: str, pretrained: str = "") -> Any:
    text = SHIPPED.format(data='images = "pets"\ncolour = "grey"', weights=weights, pretrained=pretrained)
    file = parsed(text.encode(), folder / "audit.toml")
    return target_of(file, read_samples(file.data, folder), folder)


@pytest.mark.parametrize("weights", ["base", "./base", "base/model.safetensors", "link"])
def test_the_model_before_training_is_no_target(tmp_path: Path, weights: str):
    models(tmp_path)
    (tmp_path / "link").symlink_to("base")
    with pytest.raises(UserError, match=r"is \[model\] folder itself") as refused:
        target_in(tmp_path, weights)
    assert "pretrained = false" in (refused.value.hint or "")
    assert target_in(tmp_path, weights, "pretrained = false") is not None


def test_members_are_the_images_below_a_folder(tmp_path: Path):
    target = target_in(models(tmp_path), "tuned")
    assert (len(target.members), len(target.non_members)) == (18, 18)
    names = read_samples(
        parsed(SHIPPED.format(data='images = "pets"', weights="tuned", pretrained="").encode(), tmp_path).data, tmp_path
    ).names
    assert {name.split("/")[0] for name in names[target.members]} == {"train"}


def test_a_mask_is_as_long_as_the_data_and_a_list_may_have_a_mark(tmp_path: Path):
    samples = Samples(np.zeros((40, 1)), np.zeros(40), [f"p{row}" for row in range(40)])
    np.save(tmp_path / "m.npy", np.arange(40) < 20)
    assert rows_of(tmp_path / "m.npy", samples, "target.members").tolist() == list(range(20))
    np.save(tmp_path / "m.npy", np.ones(30, dtype=bool))
    with pytest.raises(UserError, match=r"expected a mask of 40 samples, got shape \(30,\)"):
        rows_of(tmp_path / "m.npy", samples, "target.members")
    (tmp_path / "m.txt").write_bytes(b"\xef\xbb\xbfp3\r\np5\r\n")
    assert rows_of(tmp_path / "m.txt", samples, "target.members").tolist() == [3, 5]
    (tmp_path / "m.txt").write_bytes("p3\np5\n".encode("utf-16"))
    with pytest.raises(UserError, match="no text in UTF-8 but UTF-16"):
        rows_of(tmp_path / "m.txt", samples, "target.members")
