"""Files of other tools mean what these tools say, and a damaged one is refused.

small.gguf was written by gguf 0.19.0 and small.bitsandbytes.safetensors by bitsandbytes 0.50.2
(tests/helpers/library_arrays.py). The checkpoints of GPTQ and compressed-tensors are packed here, as their formats are
described.
"""

import json
from pathlib import Path

import library_arrays as make
import pytest
import torch
from safetensors.torch import load_file, save_file

from quantmis.errors import UserError
from quantmis.quantizers import NormalFloat, QuantizedLayer, Uniform, save
from quantmis.quantizers.formats import format_of, read, restore

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


def test_an_index_that_names_no_group_is_refused(tmp_path: Path):
    layer = Uniform(bits=4, per="channel", group_size=16, symmetric=False).quantize(torch.nn.Linear(64, 32)).layers[0]
    gptq_file(tmp_path / "model.safetensors", layer, 4, order=None)
    tensors = dict(load_file(tmp_path / "model.safetensors"))
    for wrong in (tensors["0.g_idx"] + 1, tensors["0.g_idx"] - 2, tensors["0.g_idx"][:-8]):
        save_file(tensors | {"0.g_idx": wrong.contiguous()}, tmp_path / "model.safetensors")
        with pytest.raises(UserError):
            read(tmp_path / "model.safetensors")


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_int8_weights_of_compressed_tensors_are_read_and_inputs_rounded(tmp_path: Path, per: str):
    model = torch.nn.Sequential(torch.nn.Linear(64, 32))
    layer = Uniform(bits=8, per=per).quantize(model).layers[0]
    tensors = {"0.weight": layer.codes, "0.weight_scale": layer.scale if per == "channel" else layer.scale.flatten()}
    save_file(tensors | {"0.bias": model[0].bias.detach()}, tmp_path / "model.safetensors")
    words = {"config_groups": {"group_0": {"input_activations": {"num_bits": 8, "dynamic": True}}}}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": words}))
    restored = restore(model, tmp_path / "model.safetensors")
    assert torch.equal(restored.layers[0].dequantize(), layer.dequantize())
    assert restored.rounds_activations
    assert restored.untouched == ()
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    scale = x.abs().max() / 127.5
    whole = (x / scale).round().clamp(-128, 127) * scale
    outputs = torch.nn.functional.linear(whole, layer.dequantize(), model[0].bias)
    torch.testing.assert_close(restored.model(x), outputs, rtol=0, atol=1e-5)
    half = {"0.weight": layer.codes.half(), "0.weight_scale": layer.scale}
    save_file(half, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"holds weights of torch\.float16; read are integers"):
        read(tmp_path / "model.safetensors")


def test_int8_of_bitsandbytes_is_codes_over_127_times_the_largest_weight(tmp_path: Path):
    weight = torch.from_numpy(make.normal(3, 6, 16))
    largest = weight.abs().amax(1)
    codes = (weight / largest[:, None] * 127).round().to(torch.int8)
    tensors = {"0.weight": codes, "0.SCB": largest, "0.weight_format": torch.tensor(0, dtype=torch.uint8)}
    save_file(tensors | {"0.bias": torch.zeros(6)}, tmp_path / "model.safetensors")
    restored = restore(torch.nn.Sequential(torch.nn.Linear(16, 6)), tmp_path / "model.safetensors")
    assert torch.allclose(restored.model[0].weight, weight, atol=0.02)
    assert "activations" in restored.untouched[0]
    save_file(tensors | {"0.weight_format": torch.tensor(2, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="layout of one accelerator"):
        read(tmp_path / "model.safetensors")


def test_a_saved_model_is_whole_and_restored_into_a_fresh_one(tmp_path: Path):
    model, fresh = make.small(), torch.nn.Sequential(torch.nn.Linear(64, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3))
    quantized = Uniform(bits=4).quantize(model)
    save(quantized, tmp_path / "model.safetensors")
    back = restore(fresh, tmp_path / "model.safetensors")
    x = torch.from_numpy(make.normal(1, 5, 64))
    assert torch.equal(back.model(x), quantized.model(x))
    assert back.fingerprint == quantized.fingerprint
    assert read(tmp_path / "model.safetensors").others.keys() == {"0.bias", "2.bias"}


def test_a_record_of_layers_alone_needs_the_trained_model(tmp_path: Path):
    quantized = Uniform(bits=4).quantize(make.small())
    save(quantized.layers, tmp_path / "layers.safetensors")
    with pytest.raises(UserError, match="nothing else of a model"):
        restore(make.small(), tmp_path / "layers.safetensors")
    assert restore(make.small(), tmp_path / "layers.safetensors", keep=True).fingerprint == quantized.fingerprint


def test_a_record_is_not_written_where_there_is_no_folder(tmp_path: Path):
    with pytest.raises(UserError, match="cannot write"):
        save(Uniform(bits=4).quantize(make.small()), tmp_path / "none" / "model.safetensors")


def test_the_format_of_a_file_shows_without_reading_it_and_a_damaged_one_is_refused(tmp_path: Path):
    assert {kind: format_of(path) for kind, path in FILES.items()} == {kind: kind for kind in FILES}
    save_file(make.small().state_dict(), tmp_path / "plain.safetensors")
    torch.save(make.small().state_dict(), tmp_path / "plain.pt")
    assert format_of(tmp_path / "plain.safetensors") is format_of(tmp_path / "plain.pt") is format_of(tmp_path) is None
    (tmp_path / "damaged.safetensors").write_bytes(b"no such thing, at any length")
    with pytest.raises(UserError, match="is no safetensors file, or is damaged"):
        format_of(tmp_path / "damaged.safetensors")


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
