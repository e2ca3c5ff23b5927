"""Write layers as transformers (Apache-2.0) writes FP8 in blocks, BitNet and GPT-OSS, and read them back by it."""

import os
from types import SimpleNamespace

os.environ["TORCH_COMPILE_DISABLE"] = "1"

import torch
import transformers
from common import folder_of, inputs, normal, written
from safetensors.torch import save_file
from transformers import GptOssConfig, GptOssForCausalLM, Mxfp4Config
from transformers.integrations.bitnet import ActQuant, AutoBitLinear, BitLinear, pack_weights
from transformers.integrations.finegrained_fp8 import Fp8Dequantize, Fp8Quantize

TOOL = f"transformers {transformers.__version__}"


def fp8() -> None:
    """Write a matrix in blocks, its scales in 32 bits and as exponents."""
    for scale_fmt in ("float", "ue8m0"):
        words = {"weight_block_size": [32, 32], "scale_fmt": scale_fmt}
        tool = SimpleNamespace(quantization_config=SimpleNamespace(**words))
        made = Fp8Quantize(tool).convert({"0.weight": torch.from_numpy(normal(1, 64, 96))})
        back = Fp8Dequantize(tool)._dequantize_one(made["0.weight"], made["0.weight_scale_inv"], torch.float32)
        folder = folder_of(f"fp8-blocks-{scale_fmt}")
        save_file({name: value.contiguous() for name, value in made.items()}, folder / "model.safetensors")
        words |= {"quant_method": "fp8", "activation_scheme": "dynamic"}
        written(folder, TOOL, {"0": back.numpy()}, {"quantization_config": words})


def bitnet() -> None:
    """Write a ternary layer for both of its classes, with its outputs."""
    codes = torch.from_numpy(normal(1, 16, 64)).round().clamp(-1, 1)
    packed, scale, x = pack_weights(codes.clone()), torch.tensor([0.37]), torch.from_numpy(inputs(64))
    one = BitLinear(64, 16, bias=False, dtype=torch.float32)
    one.weight, one.weight_scale = packed, scale
    two = AutoBitLinear(64, 16, bias=False)
    two.weight.data, two.weight_scale = codes, scale
    for name, layer, weight in (("bitlinear", one, codes / scale), ("autobitlinear", two, codes * scale)):
        folder = folder_of(f"bitnet-{name}")
        save_file({"0.weight": packed, "0.weight_scale": scale}, folder / "model.safetensors")
        words = {"quant_method": "bitnet", "linear_class": name, "quantization_mode": "offline"}
        with torch.no_grad():
            expected = {"0": weight, "x": x, "y": layer(x), "rounded": ActQuant.apply(x)}
        expected = {key: value.numpy() for key, value in expected.items()}
        written(folder, TOOL, expected, {"quantization_config": words})


def gpt_oss() -> None:
    """Write a GPT-OSS of one layer and two experts, whose codes are drawn, and read it back with turned matrices."""
    config = GptOssConfig(
        vocab_size=32,
        hidden_size=64,
        intermediate_size=32,
        num_hidden_layers=1,
        head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=2,
        num_experts_per_tok=1,
    )
    torch.manual_seed(0)
    model, folder = GptOssForCausalLM(config), folder_of("gpt-oss")
    experts = "model.layers.0.mlp.experts"
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    for part, columns in (("gate_up_proj", 64), ("down_proj", 32)):
        rows = state.pop(f"{experts}.{part}").shape[2]
        draws = torch.from_numpy(normal(3, 2, rows, columns // 32, 16)).view(torch.uint8)[..., ::4].contiguous()
        state[f"{experts}.{part}_blocks"] = draws
        scales = torch.from_numpy(abs(normal(4, 2, rows, columns // 32)) * 3).to(torch.uint8) + 118
        state[f"{experts}.{part}_scales"] = scales
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    config.architectures, config.quantization_config = ["GptOssForCausalLM"], {"quant_method": "mxfp4"}
    config.save_pretrained(folder)
    words = Mxfp4Config(dequantize=True)
    back = GptOssForCausalLM.from_pretrained(folder, quantization_config=words, dtype=torch.float32).eval()
    names = [f"{experts}.gate_up_proj", f"{experts}.down_proj"]
    expected = {name: back.get_parameter(name).detach().transpose(1, 2).contiguous().numpy() for name in names}
    (folder / "generation_config.json").unlink(missing_ok=True)
    written(folder, TOOL, expected)


if __name__ == "__main__":
    fp8()
    bitnet()
    gpt_oss()
