"""Make the small arrays that the oracle tests compare with: `python tests/helpers/library_arrays.py`, with all extras.

Weights and inputs come from NumPy seeds, which are the same everywhere, so only what a library made is stored.
"""

from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parents[1] / "quantizers" / "data"


def normal(seed: int, *shape: int) -> np.ndarray:
    """Return seeded normal draws in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def correlated(seed: int, samples: int, features: int) -> np.ndarray:
    """Return inputs of rank features / 4 plus noise, so that a calibrated method has something to gain."""
    rank = features // 4
    low = normal(seed, samples, rank) @ normal(seed + 1, rank, features) / np.float32(rank**0.5)
    return low + np.float32(0.1) * normal(seed + 2, samples, features)


def torchao() -> dict[str, np.ndarray]:
    from torchao.prototype.parq.quant import LSBQuantizer
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, MappingType, quantize_
    from torchao.quantization.granularity import PerAxis, PerGroup

    made = {}
    for bits in (2, 3, 4, 8):
        for mapping in (MappingType.SYMMETRIC, MappingType.ASYMMETRIC):
            for key, size in (("channel", PerAxis(0)), ("group", PerGroup(32))):
                config = IntxWeightOnlyConfig(getattr(torch, f"int{bits}"), size, mapping)
                weight = _quantized(quantize_, config)
                name = f"{mapping.name.lower()}.{key}.{bits}"
                made |= {f"{name}.{part}": getattr(weight, part).numpy() for part in ("qdata", "scale", "zero_point")}
    made["int8.qdata"] = _quantized(quantize_, Int8WeightOnlyConfig()).qdata.numpy()
    made["lsbq.1"] = LSBQuantizer().quantize(torch.from_numpy(normal(0, 16, 64)), 1)[0].numpy()
    return made


def parq() -> dict[str, np.ndarray]:
    """Return what torchao's parq makes where it has a codebook of ours."""
    from torchao.prototype.parq.quant import LSBQuantizer, MaxUnifQuantizer

    weight, made = torch.from_numpy(normal(0, 16, 64)), {}
    for key, dim in (("tensor", None), ("channel", -1)):
        for bits in (2, 3, 4, 8):
            made[f"max.{bits}.{key}"] = MaxUnifQuantizer().quantize(weight, bits, dim=dim)[0].numpy()
        made[f"lsbq.1.{key}"] = LSBQuantizer().quantize(weight, 1, dim=dim)[0].numpy()
    made["lsbq.2.tensor"] = LSBQuantizer(optimal=True).quantize(weight, 2)[0].numpy()
    return made


def _quantized(quantize_, config):
    model = torch.nn.Sequential(torch.nn.Linear(64, 16, bias=False))
    model[0].weight = torch.nn.Parameter(torch.from_numpy(normal(0, 16, 64)))
    quantize_(model, config)
    return model[0].weight


def bitsandbytes() -> dict[str, np.ndarray]:
    import bitsandbytes.functional as functional

    made = {}
    for columns in (64, 77):
        weight = torch.from_numpy(normal(columns, 8, columns))
        packed, state = functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
        flat = packed.flatten()
        made[f"{columns}.codes"] = torch.stack([flat >> 4, flat & 15], 1).flatten().numpy()[: weight.numel()]
        made[f"{columns}.absmax"] = state.absmax.numpy()
        made[f"{columns}.weight"] = functional.dequantize_4bit(packed, state).numpy()
    return made


def brevitas() -> dict[str, np.ndarray]:
    import brevitas.nn as layers
    from brevitas.graph.gptq import gptq_mode
    from brevitas.graph.quantize import layerwise_quantize
    from brevitas.quant import Int8WeightPerChannelFloat

    made = {}
    for columns, kernel in ((64, None), (144, None), (512, None), (16, 3)):
        for bits in (2, 4):
            for order in (False, True):
                words = {
                    "weight_quant": Int8WeightPerChannelFloat,
                    "weight_bit_width": bits,
                    "return_quant_tensor": False,
                    "weight_scaling_impl_type": "parameter_from_stats",
                }
                kinds = {torch.nn.Linear: (layers.QuantLinear, words), torch.nn.Conv2d: (layers.QuantConv2d, words)}
                model, inputs = layer_and_inputs(columns, kernel)
                quantized = layerwise_quantize(model, compute_layer_map=kinds)
                quantized(inputs)
                with (
                    torch.no_grad(),
                    gptq_mode(
                        quantized, use_quant_activations=False, create_weight_orig=False, act_order=order
                    ) as mode,
                ):
                    for _ in range(mode.num_layers):
                        mode.model(inputs)
                        mode.update()
                weight = quantized[0].quant_weight()
                name = f"{columns}.{kernel}.{bits}.{order}"
                made |= {
                    f"{name}.codes": weight.int().numpy().astype(np.int8),
                    f"{name}.scale": weight.scale.detach().numpy(),
                }
    return made


def layer_and_inputs(columns: int, kernel: int | None) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a model of one layer without bias and inputs to calibrate it on."""
    if kernel is None:
        layer, inputs = torch.nn.Linear(columns, 16, bias=False), correlated(columns, 4 * columns, columns)
    else:
        layer = torch.nn.Conv2d(columns, 16, kernel, padding=1, bias=False)
        inputs = correlated(columns, 64, columns * 36).reshape(64, columns, 6, 6)
    layer.weight = torch.nn.Parameter(torch.from_numpy(normal(1, *layer.weight.shape)))
    return torch.nn.Sequential(layer), torch.from_numpy(inputs)


def gguf() -> dict[str, np.ndarray]:
    from gguf import GGMLQuantizationType, quants

    made = {}
    for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0"):
        kind = GGMLQuantizationType[name]
        made[f"{name}.bytes"] = quants.quantize(normal(2, 4, 512), kind)
        made[f"{name}.weight"] = quants.dequantize(made[f"{name}.bytes"], kind)
    return made


def k_quants() -> dict[str, np.ndarray]:
    """Return random bytes of the formats that gguf only reads, with scales that are finite, and what they mean."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

    halves = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
    halves |= {"IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": ()}
    made, draw = {}, np.random.default_rng(5)
    for name, places in halves.items():
        kind = GGMLQuantizationType[name]
        weights, size = GGML_QUANT_SIZES[kind]
        blocks = draw.integers(0, 256, (3, 512 // weights, size), dtype=np.uint8)
        for place in places:
            scale = draw.normal(0, 0.1, (*blocks.shape[:2], 1)).astype(np.float16)
            blocks[..., place : place + 2] = scale.view(np.uint8)
        if name == "MXFP4":
            blocks[..., 0] = draw.integers(0, 140, blocks.shape[:2])
        made[f"{name}.bytes"] = blocks.reshape(3, -1)
        made[f"{name}.weight"] = quants.dequantize(made[f"{name}.bytes"], kind)
    return made


def small() -> torch.nn.Module:
    """Return the model that the files hold: two layers, the second too narrow for the blocks of GGUF."""
    model = torch.nn.Sequential(torch.nn.Linear(64, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3))
    for index, value in enumerate(model.parameters()):
        value.data = torch.from_numpy(normal(30 + index, *value.shape))
    return model


def gguf_file(path: Path) -> None:
    import gguf as package

    writer = package.GGUFWriter(path, "small")
    writer.add_string("general.description", "two layers")
    writer.add_array("test.numbers", [1, 2, 3])
    for name, value in small().state_dict().items():
        if name == "0.weight":
            kind = package.GGMLQuantizationType.Q5_1
            writer.add_tensor(name, package.quants.quantize(value.numpy(), kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def bitsandbytes_file(path: Path) -> None:
    from safetensors.torch import save_file

    from quantmis.quantizers import BitsAndBytes4Bit

    save_file(BitsAndBytes4Bit().quantize(small()).model.state_dict(), path)


if __name__ == "__main__":
    for library in (torchao, parq, bitsandbytes, brevitas, gguf, k_quants):
        np.savez_compressed(HERE / f"{library.__name__}.npz", allow_pickle=False, **library())
    gguf_file(HERE / "small.gguf")
    bitsandbytes_file(HERE / "small.bitsandbytes.safetensors")
