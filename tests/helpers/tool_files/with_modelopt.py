"""Write a tiny Llama by ModelOpt (Apache-2.0), and compare with its own rounding of weights and inputs."""

import copy
import json
import warnings
from importlib.metadata import version

import modelopt.torch.quantization as mtq
import torch
from common import folder_of, inputs, normal, written
from modelopt.torch.export import export_hf_checkpoint
from modelopt.torch.quantization.qtensor import MXFP4QTensor, MXFP8QTensor, NVFP4QTensor
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

warnings.filterwarnings("ignore")
CASES = {
    "fp8": mtq.FP8_DEFAULT_CFG,
    "fp8_per_channel": mtq.FP8_PER_CHANNEL_PER_TOKEN_CFG,
    "int8": mtq.INT8_WEIGHT_ONLY_CFG,
}
WIDTH = 64


def llama() -> torch.nn.Module:
    words = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = LlamaConfig(vocab_size=32, **words, tie_word_embeddings=False, architectures=["LlamaForCausalLM"])
    model = LlamaForCausalLM(config).eval()
    for index, value in enumerate(model.parameters()):
        value.data = torch.from_numpy(normal(40 + index, *value.shape)) * 0.1
    return model


def main() -> None:
    """Write a model in each format that this machine's processor can be asked for."""
    tokens = torch.from_numpy(abs(normal(9, 4, 16)) * 10).long() % 32
    for name, words in CASES.items():
        model = mtq.quantize(llama(), copy.deepcopy(words), forward_loop=lambda own: own(tokens))
        layer = model.model.layers[0].mlp.gate_proj
        rounds = layer.input_quantizer.is_enabled
        x = torch.from_numpy(inputs(WIDTH))
        own = layer.weight_quantizer(layer.weight.data).float().detach()
        expected = {"model.layers.0.mlp.gate_proj": own.numpy()}
        expected |= {"x": x.numpy(), "rounded": layer.input_quantizer(x).detach().numpy()} if rounds else {}
        folder = folder_of(f"modelopt-{name}")
        export_hf_checkpoint(model, dtype=torch.float32, export_dir=folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        words = json.loads((folder / "config.json").read_text())
        written(folder, f"modelopt {version('nvidia-modelopt')}", expected, words)


def blocks() -> None:
    """Write layers in blocks, whose rounding runs on a GPU alone, by the classes that its export packs them with."""
    weight = torch.from_numpy(normal(1, 16, 128))
    packed, scale, whole = NVFP4QTensor.quantize(weight, 16)
    back = packed.dequantize(scale=scale, double_scale=whole, block_sizes={-1: 16}, dtype=torch.float32)
    layer("nvfp4-packed", packed, {"weight_scale": scale, "weight_scale_2": whole}, back, "W4A16_NVFP4")
    packed, scale = MXFP8QTensor.quantize(weight)
    back = packed.dequantize(scale=scale, block_sizes={-1: 32}, dtype=torch.float32)
    layer("mxfp8-packed", packed, {"weight_scale": scale}, back, "MXFP8")
    packed, scale = MXFP4QTensor.quantize(weight, 32)
    back = packed.dequantize(scale=scale, block_sizes={-1: 32}, dtype=torch.float32)
    layer("mxfp4-packed", packed, {"weight_scale": scale.reshape(16, 4)}, back, "MXFP4")


def layer(case: str, packed, scales: dict, back: torch.Tensor, algorithm: str) -> None:
    """Write a layer and what ModelOpt makes of it."""
    folder = folder_of(f"modelopt-{case}")
    tensors = {"weight": packed._quantized_data, **scales}
    save_file({f"0.{name}": value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    words = {"quant_method": "modelopt", "quant_algo": algorithm, "producer": {"name": "modelopt"}}
    written(folder, f"modelopt {version('nvidia-modelopt')}", {"0": back.numpy()}, {"quantization_config": words})


if __name__ == "__main__":
    main()
    blocks()
