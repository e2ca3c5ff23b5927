"""What lies in folders beside weights and tables, harmed anywhere: taken or refused with a `UserError`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import MANY, harmed
from documents import document
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from quantmis.data.archives import read_array
from quantmis.documents import Source, merge_into_card
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.model_folders import require_short_work, require_sound
from quantmis.tables import LossTable, VersionTraits
from quantmis.tables.saved import Damaged, read_table
from quantmis.tensor_files import digest_of

pytestmark = pytest.mark.usefixtures("unchecked")
CONFIG = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 16, "auto_map": {}}
ADAPTER = {"peft_type": "LORA", "target_modules": r".*\.(q|v)_proj", "rank_pattern": {"a": 4}, "r": 8}
INDEX = {"metadata": {"total_size": 8}, "weight_map": {"a": "model.safetensors"}}
FILES = {
    "config.json": CONFIG,
    "adapter_config.json": ADAPTER,
    "model.safetensors.index.json": INDEX,
    "tokenizer_config.json": {"tokenizer_class": "X", "auto_map": None},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model", "adapter_model"):
        save_file({"a": torch.zeros(2)}, tmp_path / f"{name}.safetensors")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
@MANY
@given(data=st.data())
def test_a_word_in_a_folder_of_a_model_is_understood_or_refused(folder: Path, name: str, data):
    whole = json.dumps(FILES[name]).encode()
    (folder / name).write_bytes(whole)
    require_sound(folder)
    (folder / name).write_bytes(data.draw(harmed(whole)))
    try:
        require_sound(folder)
    except UserError as error:
        assert str(error)  # noqa: PT017
    assert len(digest_of(folder)) == 64


PARTS = st.sampled_from(["a", "b", ".", "(", ")", "|", "*", "+", "?", "{1,9}", "{5}", "[ab]", "\\.", "(?:", "(?=", "$"])


@settings(MANY, max_examples=300)
@given(st.lists(PARTS, max_size=12).map("".join))
def test_a_pattern_that_is_taken_is_matched_in_time(pattern: str):
    import re
    import time

    try:
        require_short_work("target_modules", pattern)
    except UserError:
        return
    start = time.process_time()
    re.fullmatch(pattern, "a" * 100 + "c")
    assert time.process_time() - start < 1


def table() -> LossTable:
    losses = np.random.default_rng(0).random((2, 6))
    everything = np.arange(6) < 4
    traits = (VersionTraits("f", 4.0, 0.5, 3, ["head"]),) * 2
    origin = {"name": "model", "file": "", "like": "sign"}
    member = np.tile([[True, False], [False, True]], 3)
    return LossTable(
        "sign", Evidence(losses, member), losses, None, "accuracy", traits, everything, ~everything, origin=origin
    )


@pytest.mark.slow
@MANY
@given(data=st.data())
def test_a_saved_table_is_read_as_it_was_written_or_not_at_all(tmp_path: Path, data):
    table().save(tmp_path)
    path = tmp_path / table().path
    assert read_table(path, "sign", "models").digest() == table().digest()
    path.write_bytes(data.draw(harmed(path.read_bytes())))
    try:
        found = read_table(path, "sign", "models")
    except Damaged as damage:
        assert str(damage)  # noqa: PT017
        return
    assert len(found.digest()) == 64


@MANY
@given(data=st.data())
def test_a_single_array_is_read_or_refused(tmp_path: Path, data):
    path = tmp_path / "table.npy"
    np.save(path, np.arange(12.0).reshape(3, 4))
    path.write_bytes(data.draw(harmed(path.read_bytes())))
    try:
        found = read_array(path, "data.file")
    except UserError as error:
        assert "data.file" in str(error)  # noqa: PT017
        return
    assert found.nbytes <= path.stat().st_size


CARD = b"""---
license: mit
tags: [a, b]
model-index:
- name: mine
---
# My model

Words.
"""


@pytest.mark.slow
@settings(MANY, max_examples=60)
@given(data=st.data())
def test_a_model_card_keeps_all_that_is_its_own_or_is_refused(tmp_path: Path, data):
    pytest.importorskip("huggingface_hub")
    path, source = tmp_path / "README.md", Source(document(), "ab" * 32)
    before = data.draw(harmed(CARD))
    path.write_bytes(before)
    try:
        after = merge_into_card(path, source)
    except UserError as error:
        assert str(error)  # noqa: PT017
        return
    assert after.startswith(before.rstrip(b"\n")[:40])


def test_metadata_that_refer_to_themselves_are_refused(tmp_path: Path):
    pytest.importorskip("huggingface_hub")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "README.md").write_text("---\n" + "\n".join(lines) + "\n---\n# A card\n")
    with pytest.raises(UserError, match="refer to themselves"):
        merge_into_card(tmp_path / "README.md", Source(document(), "ab" * 32))
