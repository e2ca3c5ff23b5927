"""GGUF files of language models, written as llama.cpp's converter does, mean what transformers computes.

The expected order of rows is that of the converter (ggml-org/llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute).
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

import quantmis as qm
from quantmis.audit.target.open_model import opened
from quantmis.errors import UserError
from quantmis.quantizers.formats import read, restore

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library, when it is imported
Q8, BF16, F32 = (gguf.GGMLQuantizationType[name] for name in ("Q8_0", "BF16", "F32"))
SMALL = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32}
MODELS = {
    "llama": lambda tied=False: transformers.LlamaConfig(
        **SMALL, **HEADS, attention_bias=True, tie_word_embeddings=tied
    ),
    "qwen2": lambda tied=True: transformers.Qwen2Config(**SMALL, **HEADS, tie_word_embeddings=tied),
    "qwen3": lambda tied=False: transformers.Qwen3Config(**SMALL, **HEADS, head_dim=32, tie_word_embeddings=tied),
    "gpt2": lambda tied=True: transformers.GPT2Config(vocab_size=96, n_embd=64, n_layer=2, n_head=4, n_positions=32),
}


def fresh(kind: str, seed: int, **more: bool) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(MODELS[kind](**more))
        for value in model.parameters():
            value.data.normal_(0, 0.1)
    return model.eval()


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    shape = (heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return weight.reshape(shape).swapaxes(1, 2).reshape(weight.shape)


def converted(kind: str, model: nn.Module, path: Path, types: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Write `model` as llama.cpp does; return the numbers that the file stands for by transformers' names."""
    writer, config = gguf.GGUFWriter(path, kind), model.config
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", config.num_attention_heads))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[kind.upper()], config.num_hidden_layers)
    meant = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings and kind != "gpt2":
            continue
        own, array = names.get_name(name, try_suffixes=(".weight", ".bias")), value.numpy()
        turned = kind == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        heads = {"q": config.num_attention_heads, "k": getattr(config, "num_key_value_heads", 0)}
        letter = name.partition("self_attn.")[2][:1]
        if turned:
            array = np.ascontiguousarray(array.T)
        if kind == "llama" and "_proj" in name and letter in heads:
            array = permuted(array, heads[letter])
        raw = (types or {}).get(own, Q8 if array.ndim == 2 else F32)
        stored = gguf.quants.quantize(array, raw)
        writer.add_tensor(own, stored, raw_dtype=raw)
        meant[name] = gguf.quants.dequantize(
            gguf.quants.quantize(value.numpy().T if turned else value.numpy(), raw), raw
        )
        meant[name] = meant[name].T if turned else meant[name]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(torch.arange(24).reshape(2, 12)).logits


@pytest.mark.parametrize("kind", MODELS)
def test_a_language_model_of_llama_cpp_computes_what_was_converted(tmp_path: Path, kind: str):
    model = fresh(kind, 0)
    meant = converted(kind, model, tmp_path / "model.gguf")
    restored = restore(fresh(kind, 1), tmp_path / "model.gguf")
    expected = fresh(kind, 2)
    expected.load_state_dict({name: torch.from_numpy(value) for name, value in meant.items()}, strict=False)
    assert torch.equal(logits(restored.model), logits(expected))
    assert torch.allclose(logits(restored.model), logits(model), atol=0.05)
    assert not torch.allclose(logits(fresh(kind, 1)), logits(model), atol=0.05)


def test_layers_in_bfloat16_and_in_half_precision_stand_beside_quantized_ones(tmp_path: Path):
    model = fresh("llama", 0)
    types = {"blk.0.attn_q.weight": BF16, "output.weight": BF16, "token_embd.weight": F32}
    converted("llama", model, tmp_path / "model.gguf", types)
    restored = restore(fresh("llama", 1), tmp_path / "model.gguf")
    assert torch.allclose(logits(restored.model), logits(model), atol=0.05)
    assert {"lm_head", "model.embed_tokens", "model.layers.0.self_attn.q_proj"} <= set(restored.untouched)
    assert torch.equal(restored.model.model.embed_tokens.weight, model.model.embed_tokens.weight)


def test_a_head_that_the_file_rounds_by_itself_is_no_longer_that_of_the_embedding(tmp_path: Path):
    model = fresh("gpt2", 0)
    for types in ({"output.weight": gguf.GGMLQuantizationType.Q4_0}, {"output.weight": BF16}):
        converted("gpt2", model, tmp_path / "model.gguf", types)
        restored = restore(fresh("gpt2", 1), tmp_path / "model.gguf").model
        head, embedding = restored.lm_head.weight, restored.transformer.wte.weight
        assert not torch.equal(head, embedding)
        assert torch.allclose(embedding, model.transformer.wte.weight, atol=2e-2)
        assert torch.allclose(head, model.transformer.wte.weight, atol=0.1)


def test_rows_that_do_not_belong_to_the_heads_are_refused(tmp_path: Path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_head_count(7)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((64, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match="64 rows do not belong to 7 heads"):
        read(tmp_path / "model.gguf")


def test_a_type_that_is_not_read_is_named(tmp_path: Path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "small")
    kind = gguf.GGMLQuantizationType.Q8_K
    writer.add_tensor("0.weight", np.zeros((4, 292), np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match="is of ggml's type Q8_K, which is not read here") as refused:
        read(tmp_path / "model.gguf")
    assert "Q4_K" in str(refused.value.hint)


def test_a_file_of_plain_floats_is_no_quantized_model(tmp_path: Path):
    model = fresh("llama", 0)
    types = {name: BF16 for name in gguf_names(model) if not name.endswith("norm.weight")}
    converted("llama", model, tmp_path / "model.gguf", types)
    with pytest.raises(UserError, match="holds no quantized layers: its numbers are plain floats") as refused:
        restore(fresh("llama", 1), tmp_path / "model.gguf")
    assert "safetensors" in str(refused.value.hint)


def gguf_names(model: nn.Module) -> list[str]:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    return [names.get_name(name, try_suffixes=(".weight", ".bias")) for name in model.state_dict()]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_such_a_file_is_a_target_of_an_audit_and_a_version_of_one(tmp_path: Path, kind: str):
    config = {name: value for name, value in MODELS[kind]().to_diff_dict().items() if name != "transformers_version"}
    task = qm.Task.causal_lm(config=config)
    model = task.build(0)
    converted(kind, model, tmp_path / "model.gguf")
    tokens = torch.arange(60).reshape(4, 15)
    rows = np.arange(20), np.arange(20, 40)
    target = qm.Target(tmp_path / "model.gguf", *rows)
    version = opened(qm.Version(tmp_path / "model.gguf"), qm.Target(model, *rows), task, "ours")
    with torch.no_grad():
        expected = model.eval()(tokens)
        for made in (target.given(task), version):
            assert 8 < made.bits_per_weight < 9
            torch.testing.assert_close(made.model.eval()(tokens), expected, rtol=0.02, atol=0.02)
        torch.testing.assert_close(target.module(task)(tokens), target.given(task).model(tokens))
    assert target.baseline == "gguf file"
