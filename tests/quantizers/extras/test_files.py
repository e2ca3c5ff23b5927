"""Files as the libraries themselves write them hold what the libraries dequantize."""

from pathlib import Path

import library_arrays as make
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, OnnxDynamic
from quantmis.quantizers.extras.onnx_file import onnx_file
from quantmis.quantizers.formats import format_of, read, restore

pytestmark = pytest.mark.filterwarnings("ignore")


def model() -> nn.Module:
    built = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128))
    for index, value in enumerate(built.parameters()):
        value.data = torch.from_numpy(make.normal(40 + index, *value.shape))
    return built


def test_nested_scales_of_bitsandbytes_are_what_it_computes_with(tmp_path: Path):
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn.modules import Linear4bit

    layer = Linear4bit(256, 128, True, torch.float32, compress_statistics=True, quant_type="nf4")
    layer.load_state_dict(model()[2].state_dict())
    layer = layer.to("cpu")
    state = {f"0.{name}": value.clone().contiguous() for name, value in layer.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    [found] = read(tmp_path / "model.safetensors").layers
    expected = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    assert torch.allclose(found.dequantize(), expected, rtol=1e-6, atol=1e-7)
    assert found.bits / found.codes.numel() == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=0.01)


def test_int8_of_bitsandbytes_is_what_it_computes_with(tmp_path: Path):
    quantized = QUANTIZERS.parse("bitsandbytes.linear8bit").quantize(model())
    state = {name: value.clone().contiguous() for name, value in quantized.model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    back = restore(model(), tmp_path / "model.safetensors")
    assert [layer.digest() for layer in back.layers] == [layer.digest() for layer in quantized.layers]


@pytest.mark.parametrize("spelled", ["torchao.intx(bits=4)", "torchao.int8_weight_only", "torchao.int8_dynamic"])
def test_files_of_torchao_hold_its_codes(tmp_path: Path, spelled: str):
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    quantized = QUANTIZERS.parse(spelled).quantize(model())
    tensors, words = flatten_tensor_state_dict(quantized.model.state_dict())
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "m.safetensors", metadata=words)
    assert format_of(tmp_path / "m.safetensors") == "torchao"
    back = restore(model(), tmp_path / "m.safetensors")
    for ours, theirs in zip(back.layers, quantized.layers, strict=True):
        assert torch.equal(ours.codes, theirs.codes)
        assert torch.equal(ours.dequantize(), theirs.dequantize())
    assert any("activations" in each for each in back.untouched) == ("dynamic" in spelled)


def test_an_onnx_file_is_computed_as_it_is(tmp_path: Path):
    quantized = OnnxDynamic().quantize(model(), torch.from_numpy(make.normal(1, 16, 64)))
    (tmp_path / "model.onnx").write_bytes(quantized.model.graph)
    x = torch.from_numpy(make.normal(2, 7, 64))
    found = onnx_file(tmp_path / "model.onnx")
    assert torch.equal(found.model(x), quantized.model(x))
    assert found.bits_per_weight == pytest.approx(quantized.bits_per_weight)
    weights_alone = restore(model(), tmp_path / "model.onnx")
    assert not torch.equal(weights_alone.model(x), quantized.model(x))
    assert "activations (rounded where the file runs)" in weights_alone.untouched


def test_an_onnx_file_of_so_many_inputs_is_given_as_many_at_once(tmp_path: Path):
    given = torch.from_numpy(make.normal(2, 4, 64))
    torch.onnx.export(model(), (given,), tmp_path / "model.onnx", dynamo=True, external_data=False, verbose=False)
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "int8.onnx")
    x = torch.from_numpy(make.normal(3, 7, 64))
    outputs = onnx_file(tmp_path / "int8.onnx").model(x)
    assert outputs.shape == (7, 128)
    expected = model()(x).detach()
    assert (outputs - expected).norm() < 0.05 * expected.norm()


def test_an_onnx_file_in_full_precision_or_damaged_is_refused(tmp_path: Path):
    given = torch.from_numpy(make.normal(2, 4, 64))
    torch.onnx.export(model(), (given,), tmp_path / "model.onnx", dynamo=True, external_data=False, verbose=False)
    with pytest.raises(UserError, match="holds no quantized weights"):
        onnx_file(tmp_path / "model.onnx")
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:5000])
    with pytest.raises(UserError, match="is damaged"):
        onnx_file(tmp_path / "cut.onnx")
