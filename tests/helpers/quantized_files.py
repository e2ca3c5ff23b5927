"""A trained model in the files of several tools, packed here as their formats are described."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from quantmis.quantizers import NormalFloat, QuantizedLayer, Uniform, save


def record(model: nn.Module, path: Path) -> Path:
    save(Uniform(bits=4).quantize(model), path)
    return path


def gguf(model: nn.Module, path: Path) -> Path:
    """Write the layers of `model` in Q8_0, the rest in floats."""
    import gguf as package

    writer = package.GGUFWriter(path, "small")
    for name, value in model.state_dict().items():
        kind = package.GGMLQuantizationType.Q8_0 if value.ndim == 2 else package.GGMLQuantizationType.F32
        array = package.quants.quantize(value.numpy(), kind) if value.ndim == 2 else value.numpy()
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def packed(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Return unsigned codes, [rows, columns], in 32-bit words, the first code in the lowest bits."""
    per = 32 // bits
    filled = nn.functional.pad(codes.long(), (0, -codes.shape[1] % per)).unflatten(1, (-1, per))
    words = (filled << torch.arange(0, 32, bits)).sum(2)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def gptq_tensors(layer: QuantizedLayer, bits: int, order: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors of a layer with zero points as AutoGPTQ stores them."""
    middle, groups = 2 ** (bits - 1), torch.arange(layer.shape[1]) // layer.group_size
    return {
        f"{layer.name}.qweight": packed(layer.codes.long() + middle, bits).T.contiguous(),
        f"{layer.name}.qzeros": packed((layer.zero_point.T.long() + middle - 1) % 2**bits, bits),
        f"{layer.name}.scales": layer.scale.T.contiguous(),
        f"{layer.name}.g_idx": (groups if order is None else groups[order]).to(torch.int32),
    }


def gptq(model: nn.Module, folder: Path) -> Path:
    """Write a folder of two files, as large checkpoints are cut into shards."""
    folder.mkdir()
    layers = Uniform(bits=8, per="channel", group_size=16, symmetric=False).quantize(model).layers
    for index, layer in enumerate(layers):
        bias = {f"{layer.name}.bias": model.state_dict()[f"{layer.name}.bias"]}
        save_file(gptq_tensors(layer, 8) | bias, folder / f"model-{index + 1:05}-of-{len(layers):05}.safetensors")
    return folder


def compressed_tensors(model: nn.Module, path: Path) -> Path:
    """Write int8 weights that are not packed, one scale per channel."""
    made = Uniform(bits=8, per="channel").quantize(model)
    tensors = {f"{layer.name}.weight": layer.codes for layer in made.layers}
    scales = {f"{layer.name}.weight_scale": layer.scale for layer in made.layers}
    save_file(tensors | scales | {name: value.clone() for name, value in made.others.items()}, path)
    return path


def fp8(model: nn.Module, folder: Path) -> Path:
    """Write FP8 weights whose layers round their inputs to FP8 too, a scale a token."""
    import json

    folder.mkdir()
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    for name in [name.removesuffix(".weight") for name, value in tensors.items() if value.ndim == 2]:
        scale = tensors[f"{name}.weight"].abs().amax(1, True) / 448
        tensors[f"{name}.weight"] = (tensors[f"{name}.weight"] / scale).to(torch.float8_e4m3fn)
        tensors[f"{name}.weight_scale"] = scale
    save_file(tensors, folder / "model.safetensors")
    inputs = {"num_bits": 8, "type": "float", "dynamic": True, "strategy": "token"}
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}, "input_activations": inputs}
    words = {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}
    (folder / "config.json").write_text(json.dumps({"quantization_config": words}))
    return folder


def bitsandbytes(model: nn.Module, path: Path) -> Path:
    """Write NF4 as bitsandbytes packs it."""
    import json

    made = NormalFloat().quantize(model)
    tensors = {name: value.clone() for name, value in made.others.items()}
    for layer in made.layers:
        flat = nn.functional.pad(layer.codes.flatten(), (0, layer.codes.numel() % 2)).to(torch.uint8)
        words = json.dumps({"shape": list(layer.shape), "blocksize": layer.group_size})
        tensors |= {
            f"{layer.name}.weight": (flat[::2] << 4 | flat[1::2])[:, None].contiguous(),
            f"{layer.name}.weight.absmax": layer.scale.flatten(),
            f"{layer.name}.weight.quant_map": layer.codebook,
            f"{layer.name}.weight.quant_state.bitsandbytes__nf4": torch.from_numpy(
                np.frombuffer(words.encode(), np.uint8).copy()
            ),
        }
    save_file(tensors, path)
    return path


def onnx(model: nn.Module, path: Path) -> Path:
    """Write int8 weights and activations, as ONNX Runtime's dynamic quantizer does."""
    from quantmis.quantizers import OnnxDynamic

    width = next(model.parameters()).shape[1]
    path.write_bytes(OnnxDynamic().quantize(model, torch.rand(32, width)).model.graph)
    return path


FILES = {
    "quantmis": record,
    "gguf": gguf,
    "gptq": gptq,
    "compressed-tensors": compressed_tensors,
    "bitsandbytes": bitsandbytes,
    "onnx": onnx,
}
