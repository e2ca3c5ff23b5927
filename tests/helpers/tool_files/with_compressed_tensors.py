"""Write files by compressed-tensors (Apache-2.0), in every scheme that it names, and read them back by it."""

import compressed_tensors
import numpy as np
import torch
from common import folder_of, inputs, normal, written
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.compressors.nvfp4 import unpack_fp4_from_uint8
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
from compressed_tensors.quantization.lifecycle.forward import dequantize, forward_quantize
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from safetensors.torch import save_file

SCHEMES = ("W4A16", "W4A16_ASYM", "W3A16", "W8A16", "W8A8", "W4A8", "FP8", "FP8_DYNAMIC", "FP8_BLOCK")
FLOATS = ("NVFP4A16", "NVFP4", "MXFP4A16", "MXFP4", "MXFP6A16", "MXFP8")
ROWS, COLUMNS = 16, 256


def quantized(scheme: str) -> torch.nn.Module:
    """Return a model of one layer with the scales of a scheme."""
    rows = 144 if scheme == "FP8_BLOCK" else ROWS
    model = torch.nn.Sequential(torch.nn.Linear(COLUMNS, rows))
    model[0].weight.data = torch.from_numpy(normal(1, rows, COLUMNS))
    model[0].bias.data = torch.from_numpy(normal(2, rows))
    groups = {"group_0": preset_name_to_scheme(scheme, ["Linear"])}
    apply_quantization_config(model, QuantizationConfig(config_groups=groups))
    layer, weight = model[0], model[0].weight.data
    args = layer.quantization_scheme.weights
    if hasattr(layer, "weight_global_scale"):
        layer.weight_global_scale.data = generate_gparam(weight.amin(), weight.amax())
    scale, zero = calculate_qparams(*ends(weight, args), args, global_scale=getattr(layer, "weight_global_scale", None))
    layer.weight_scale.data = scale.reshape(layer.weight_scale.shape).to(layer.weight_scale.dtype)
    if hasattr(layer, "weight_zero_point"):
        layer.weight_zero_point.data = zero.reshape(layer.weight_zero_point.shape).to(layer.weight_zero_point.dtype)
    _keep_inputs(layer)
    return model


def _keep_inputs(layer: torch.nn.Module) -> None:
    """Give a layer the scale of its inputs where that is kept."""
    x = torch.from_numpy(inputs(COLUMNS))
    if hasattr(layer, "input_global_scale"):
        layer.input_global_scale.data = generate_gparam(x.amin(), x.amax())
    if hasattr(layer, "input_scale"):
        scale, _ = calculate_qparams(x.amin(), x.amax(), layer.quantization_scheme.input_activations)
        layer.input_scale.data = scale.reshape(layer.input_scale.shape)


def ends(weight: torch.Tensor, args) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least and the largest weight of whatever shares a scale."""
    if args.strategy == "tensor":
        return weight.amin(), weight.amax()
    if args.strategy == "channel":
        return weight.amin(1, True), weight.amax(1, True)
    if args.strategy == "block":
        high, wide = args.block_structure
        padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % wide, 0, -len(weight) % high))
        blocks = padded.unflatten(1, (-1, wide)).unflatten(0, (-1, high))
        return blocks.amin((1, 3)), blocks.amax((1, 3))
    groups = weight.unflatten(1, (-1, args.group_size))
    return groups.amin(2), groups.amax(2)


def in_single(layer: torch.nn.Module) -> torch.Tensor:
    """Return the weights of NVFP4 as the tool turns them back, in single precision; on its own it takes bfloat16."""
    rows, half = layer.weight_packed.shape
    codes = unpack_fp4_from_uint8(layer.weight_packed, rows, 2 * half, dtype=torch.float32)
    scale, whole = layer.weight_scale.float(), layer.weight_global_scale
    return dequantize(codes, scale, args=layer.quantization_scheme.weights, global_scale=whole, dtype=torch.float32)


def rounded(layer: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """Return the inputs of a layer as it rounds them."""
    return forward_quantize(layer, x.clone(), "input", layer.quantization_scheme.input_activations).numpy()


def main() -> None:
    """Write all schemes."""
    x = torch.from_numpy(inputs(COLUMNS))
    for scheme in (*SCHEMES, *FLOATS):
        model, folder = quantized(scheme), folder_of(f"compressed-tensors-{scheme.lower()}")
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors"
        )
        compressor.update_config(str(folder))
        words = (folder / "config.json").read_text()
        single = in_single(model[0]) if scheme.startswith("NVFP4") else None
        compressor.decompress_model(model)
        model[0].weight.data = model[0].weight.data.float() if single is None else single
        expected = {"0": model[0].weight.detach().numpy()}
        rounds = model[0].quantization_scheme.input_activations is not None
        with torch.no_grad():
            expected |= {"x": x.numpy(), "y": model(x).numpy(), "rounded": rounded(model[0], x)} if rounds else {}
        written(folder, f"compressed-tensors {compressed_tensors.__version__}", expected)
        (folder / "config.json").write_text(words)


if __name__ == "__main__":
    main()
