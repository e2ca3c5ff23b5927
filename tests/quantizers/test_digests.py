"""Digests: every file that is read goes in, each part with its length, and no two models share one."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from quantmis.errors import UserError
from quantmis.models.weights import weights_digest
from quantmis.quantizers import Uniform
from quantmis.quantizers.quantized import fingerprint
from quantmis.shipped import shipped
from quantmis.tensor_files import digest_of


class Holder(nn.Module):
    """A model whose state is any tensors of any names."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        self._own = state

    def state_dict(self, *args, **kwargs):
        return self._own


def glued() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return two states whose names, types, shapes and bytes, one after the other, are the same bytes."""
    second = b"btorch.uint8(4,)" + b"wxyz"
    one = {"a": torch.tensor(list(b"1234"), dtype=torch.uint8), "b": torch.tensor(list(b"wxyz"), dtype=torch.uint8)}
    name = "atorch.uint8(4,)1234b"
    other = {name: torch.tensor(list(b"wxyz"), dtype=torch.uint8)}
    first = b"".join(f"{k}{v.dtype}{tuple(v.shape)}".encode() + bytes(v.tolist()) for k, v in sorted(one.items()))
    again = b"".join(f"{k}{v.dtype}{tuple(v.shape)}".encode() + bytes(v.tolist()) for k, v in sorted(other.items()))
    assert first == again
    assert first.endswith(second)
    return one, other


def test_two_models_whose_parts_run_together_have_two_digests(tmp_path: Path):
    one, other = (Holder(state) for state in glued())
    assert weights_digest(one) != weights_digest(other)
    assert fingerprint(one, ()) != fingerprint(other, ())
    for name, state in zip(("one", "other"), glued(), strict=True):
        save_file(state, tmp_path / f"{name}.safetensors")
    assert shipped(tmp_path / "one.safetensors").tensors != shipped(tmp_path / "other.safetensors").tensors


def test_the_tensors_of_a_file_that_ships_have_the_digest_of_the_model(tmp_path: Path):
    model = nn.Sequential(nn.Linear(7, 3), nn.BatchNorm1d(3)).bfloat16()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    assert shipped(tmp_path / "model.safetensors").tensors == weights_digest(model)
    with torch.no_grad():
        model[0].bias[0] += 1
    assert shipped(tmp_path / "model.safetensors").tensors != weights_digest(model)


def test_a_file_whose_names_come_twice_has_no_digest(tmp_path: Path):
    entry = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
    head = f'{{"a": {entry}, "a": {entry}}}'.encode()
    (tmp_path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    with pytest.raises(UserError, match="'a' comes twice"):
        shipped(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.model", "merges.txt", "weights.bin"])
def test_every_file_of_a_folder_counts(tmp_path: Path, name: str):
    for each in ("model.safetensors", "config.json", "tokenizer.model", "merges.txt", "weights.bin"):
        (tmp_path / each).write_bytes(each.encode())
    before = digest_of(tmp_path)
    (tmp_path / "README.md").write_text("The card of the model, where the audit's section is added afterwards.")
    assert digest_of(tmp_path) == before
    (tmp_path / name).write_bytes(b"something else")
    assert digest_of(tmp_path) != before


def test_a_folder_whose_names_and_bytes_run_together_has_another_digest(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "one" / "a").write_bytes(b"b\x001\x00x")
    (tmp_path / "other" / "a").write_bytes(b"")
    (tmp_path / "other" / "b").write_bytes(b"x")
    assert digest_of(tmp_path / "one") != digest_of(tmp_path / "other")


def test_a_file_alone_has_the_digest_of_its_bytes(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"anything")
    assert digest_of(tmp_path / "a.safetensors") == hashlib.sha256(b"anything").hexdigest()


@pytest.mark.slow
def test_the_fingerprint_of_a_quantized_model_counts_what_is_not_quantized():
    model = nn.Sequential(nn.Linear(4, 3))
    first = Uniform(bits=4).quantize(model).fingerprint
    with torch.no_grad():
        model[0].bias[0] += 1
    assert Uniform(bits=4).quantize(model).fingerprint != first


def test_a_configuration_counts_in_the_digest_of_its_folder(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"bits": 4}))
    first = digest_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"bits": 8}))
    assert digest_of(tmp_path) != first
