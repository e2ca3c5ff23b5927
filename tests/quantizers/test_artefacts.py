"""Files of other tools mean what these tools say, and a damaged one is refused.

small.gguf was written by gguf 0.19.0 and small.bitsandbytes.safetensors by bitsandbytes 0.50.2 (data/make.py). The
checkpoints of GPTQ and compressed-tensors are packed here, as their formats are described.
"""

from pathlib import Path

import pytest
import torch
from quantizers.data import make
from safetensors.torch import save_file

from quantmis.errors import UserError
from quantmis.quantizers import NormalFloat, QuantizedLayer, Uniform
from quantmis.quantizers.formats import read, restore

FILES = {"gguf": make.HERE / "small.gguf", "bitsandbytes": make.HERE / "small.bitsandbytes.safetensors"}


def test_a_gguf_file_is_restored_into_its_architecture():
    restored = restore(make.small(), FILES["gguf"])
    assert [layer.name for layer in restored.layers] == ["0"]
    assert restored.untouched == ("2",)
    assert restored.layers[0].levels == 32
    error = (restored.model[0].weight - make.small()[0].weight).abs()
    assert 0 < error.max() < 0.2
    assert torch.equal(restored.model[2].weight, make.small()[2].weight)


def test_a_bitsandbytes_file_holds_the_codes_of_nf4():
    restored = restore(make.small(), FILES["bitsandbytes"])
    native = NormalFloat().quantize(make.small())
    assert restored.fingerprint == native.fingerprint


def packed(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Return unsigned codes, [rows, columns], in 32-bit words, the first code in the lowest bits."""
    per = 32 // bits
    filled = torch.nn.functional.pad(codes.long(), (0, -codes.shape[1] % per)).unflatten(1, (-1, per))
    words = (filled << torch.arange(0, 32, bits)).sum(2)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def gptq_file(path: Path, layer: QuantizedLayer, bits: int, order: torch.Tensor | None = None) -> None:
    middle = 2 ** (bits - 1)
    groups = torch.arange(layer.shape[1]) // layer.group_size
    tensors = {
        "0.qweight": packed(layer.codes.long() + middle, bits).T.contiguous(),
        "0.qzeros": packed((layer.zero_point.T.long() + middle - 1) % 2**bits, bits),
        "0.scales": layer.scale.T.contiguous(),
        "0.g_idx": (groups if order is None else groups[order]).to(torch.int32),
        "0.bias": make.small()[0].bias.detach(),
    }
    save_file(tensors, path)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_gptq_checkpoint_is_read_as_it_was_packed(tmp_path: Path, bits: int):
    model = torch.nn.Sequential(torch.nn.Linear(64, 32))
    model[0].weight.data = torch.from_numpy(make.normal(9, 32, 64))
    layer = Uniform(bits=bits, per="channel", group_size=16, symmetric=False).quantize(model).layers[0]
    gptq_file(tmp_path / "model.safetensors", layer, bits)
    back = read(tmp_path / "model.safetensors")
    assert back.format == "gptq"
    assert torch.equal(back.layers[0].codes, layer.codes)
    assert torch.equal(back.layers[0].dequantize(), layer.dequantize())
    assert list(back.others) == ["0.bias"]


def test_groups_that_are_not_neighbours_are_read_by_the_index_of_the_file(tmp_path: Path):
    layer = Uniform(bits=4, per="channel", group_size=16, symmetric=False).quantize(torch.nn.Linear(64, 32)).layers[0]
    order = torch.arange(63, -1, -1)
    gptq_file(tmp_path / "model.safetensors", layer, 4, order=order)
    [back] = read(tmp_path / "model.safetensors").layers
    of_column = (torch.arange(64) // 16)[order]
    expected = (layer.codes.float() - layer.zero_point[:, of_column]) * layer.scale[:, of_column]
    assert torch.allclose(back.dequantize(), expected)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_compressed_tensors_checkpoint_is_read_as_it_was_packed(tmp_path: Path, symmetric: bool):
    quantizer = Uniform(bits=4, per="channel", group_size=16, symmetric=symmetric)
    layer = quantizer.quantize(torch.nn.Linear(64, 32)).layers[0]
    tensors = {
        "fc.weight_packed": packed(layer.codes.long() + 8, 4),
        "fc.weight_scale": layer.scale,
        "fc.weight_shape": torch.tensor([32, 64]),
    }
    if not symmetric:
        tensors["fc.weight_zero_point"] = packed(layer.zero_point.T.long() + 8, 4).T.contiguous()
    save_file(tensors, tmp_path / "model.safetensors")
    back = read(tmp_path / "model.safetensors").layers[0]
    assert (back.name, back.shape) == ("fc", layer.shape)
    assert torch.equal(back.dequantize(), layer.dequantize())


@pytest.mark.parametrize("kind", FILES)
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str):
    whole = FILES[kind].read_bytes()
    path = tmp_path / FILES[kind].name
    for length in (5, 20, 60, len(whole) // 3, len(whole) - 40):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            read(path)


def test_a_file_for_another_model_is_refused():
    with pytest.raises(UserError, match="the model has no"):
        restore(torch.nn.Sequential(torch.nn.Linear(64, 20)), FILES["gguf"])
    wider = torch.nn.Sequential(torch.nn.Linear(64, 21), torch.nn.ReLU(), torch.nn.Linear(21, 3))
    with pytest.raises(UserError, match="not those of the model"):
        restore(wider, FILES["gguf"])


def test_names_are_translated():
    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(64, 20), torch.nn.Linear(20, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.relu(self.first(x)))

    def rename(name: str) -> str:
        return name.replace("0", "first").replace("2", "last")

    restored = restore(Named(), FILES["gguf"], rename)
    x = torch.from_numpy(make.normal(1, 5, 64))
    assert torch.equal(restored.model(x), restore(make.small(), FILES["gguf"]).model(x))


def test_plain_weights_are_no_artefact_of_a_quantizer(tmp_path: Path):
    save_file(make.small().state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="no quantized layers of a known format"):
        read(tmp_path / "model.safetensors")
