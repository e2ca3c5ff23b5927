"""Claims about GGUF files by themselves: transformers' own tables name their tensors, and a file is enough."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers
from torch import Tensor, nn

import quantmis as qm
from quantmis.audit.target.open_model import OpenModel
from quantmis.errors import UserError
from quantmis.models.gguf_alone import is_gguf
from quantmis.models.rows import row
from quantmis.models.task import inputs
from quantmis.models.tokenizers import tokenizer_at
from quantmis.quantizers.formats import restore

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library, when it is imported
Q8, F32 = (gguf.GGMLQuantizationType[name] for name in ("Q8_0", "F32"))
SMALL = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
CONFIGS = {
    "gemma3": lambda: transformers.Gemma3TextConfig(**SMALL, **HEADS, head_dim=32, sliding_window=16),
    "gemma2": lambda: transformers.Gemma2Config(**SMALL, **HEADS, head_dim=32, sliding_window=16),
    "phi3": lambda: transformers.Phi3Config(**SMALL, **HEADS, pad_token_id=0),
    "starcoder2": lambda: transformers.Starcoder2Config(**SMALL, **HEADS),
}


def fresh(config: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config)
        for value in model.parameters():
            value.data.normal_(0, 0.1)
    return model.eval()


def written(kind: str, model: Any, path: Path, tokenizer: Any = None, **more: Any) -> None:
    """Write `model` as llama.cpp's converter does, matrices in Q8_0."""
    writer, config = gguf.GGUFWriter(path, kind), model.config
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    if hasattr(config, "rms_norm_eps"):
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    for name, value in more.items():
        writer.add_uint32(name.replace("__", "."), value)
    if tokenizer is not None:
        _write_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[kind.upper()], config.num_hidden_layers)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = value.numpy() + (1 if kind.startswith("gemma") and name.endswith("norm.weight") else 0)
        letter = name.partition("self_attn.")[2][:1]
        if kind == "llama" and letter in "qk" and "_proj" in name:
            heads = config.num_attention_heads if letter == "q" else config.num_key_value_heads
            array = array.reshape(heads, 2, len(array) // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)
        raw = Q8 if array.ndim == 2 else F32
        own = names.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(own, gguf.quants.quantize(array, raw), raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_tokenizer(writer: Any, tokenizer: Any) -> None:
    import json

    state = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<s>" else 1 for token in tokens])
    writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in state["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(torch.arange(24).reshape(2, 12)).logits


@pytest.mark.parametrize("kind", CONFIGS)
def test_tensors_of_an_architecture_are_named_by_transformers_own_table(tmp_path: Path, kind: str):
    model = fresh(CONFIGS[kind](), 0)
    written(kind, model, tmp_path / "model.gguf")
    restored = restore(fresh(CONFIGS[kind](), 1), tmp_path / "model.gguf")
    assert torch.allclose(logits(restored.model), logits(model), atol=0.1)
    assert not torch.allclose(logits(fresh(CONFIGS[kind](), 1)), logits(model), atol=0.1)
    layer = next(each for each in restored.layers if each.name.endswith("0.self_attn.o_proj"))
    expected = gguf.quants.dequantize(
        gguf.quants.quantize(model.get_parameter(f"{layer.name}.weight").detach().numpy(), Q8), Q8
    )
    assert np.array_equal(restored.model.get_parameter(f"{layer.name}.weight").detach().numpy(), expected)


@pytest.fixture(scope="module")
def alone(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file and nothing beside it, of a model of the width that blocks of Q8_0 need."""
    path = tmp_path_factory.mktemp("alone") / "model.gguf"
    config = transformers.LlamaConfig(**{**SMALL, "vocab_size": 300}, **HEADS, tie_word_embeddings=True)
    model = fresh(config, 0)
    model.save_pretrained(path.parent.parent / "whole")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.save_pretrained(path.parent.parent / "whole")
    written("llama", model, path, tokenizer)
    return path


def test_a_file_alone_gives_the_numbers_of_the_folder_that_it_was_made_from(alone: Path):
    texts, whole = qm.Texts.of(sentences(24)), alone.parent.parent / "whole"
    found = list[np.ndarray]()
    for place in (alone, whole):
        task = qm.Task.causal_lm(place)
        samples = task.samples(texts, reference=False)
        target = qm.Target(alone, range(16), range(16, 32))
        module = OpenModel(target, task).given.model
        found += [samples.x, row(module, task.loss, inputs(samples), task.loss.targets(samples.y)).losses]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[1], found[3], rtol=1e-6)
    tokenizer = tokenizer_at(alone)
    assert tokenizer.decode(tokenizer(sentences(1)[0])["input_ids"]) == sentences(1)[0]


def test_what_is_no_gguf_and_what_is_to_be_fine_tuned_is_refused(alone: Path, tmp_path: Path):
    (tmp_path / "a.gguf").write_bytes(b"none of it")
    assert is_gguf(alone)
    assert not is_gguf(tmp_path / "a.gguf")
    with pytest.raises(UserError, match="is a file, and no GGUF"):
        qm.Task.causal_lm(tmp_path / "a.gguf")
    with pytest.raises(UserError, match=r"model\.pretrained: .* is quantized") as refused:
        qm.Task.causal_lm(alone, pretrained=True)
    assert "audit it as" in str(refused.value.hint)


def test_an_architecture_that_transformers_does_not_know_is_named_with_what_to_do(tmp_path: Path):
    config = transformers.OlmoConfig(**SMALL, **HEADS, pad_token_id=0)
    written("olmo", fresh(config, 0), tmp_path / "model.gguf")
    with pytest.raises(UserError, match="the architecture olmo is none that transformers reads") as refused:
        restore(fresh(config, 1), tmp_path / "model.gguf")
    assert "rename" in str(refused.value.hint)
    with pytest.raises(UserError, match=r"transformers cannot read it by itself: .*olmo") as refused:
        qm.Task.causal_lm(tmp_path / "model.gguf").empty()
    assert "give the folder that the file was made from" in str(refused.value.hint)


def test_an_architecture_whose_matrices_are_rearranged_is_refused(tmp_path: Path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "bloom")
    writer.add_tensor("blk.0.attn_qkv.weight", gguf.quants.quantize(np.zeros((64, 64), np.float32), Q8), raw_dtype=Q8)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    config = transformers.BloomConfig(hidden_size=64, n_layer=1, n_head=4, vocab_size=96)
    with pytest.raises(UserError, match="files of the architecture bloom hold matrices in another order"):
        restore(fresh(config, 0), tmp_path / "model.gguf")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"gemma3__attention__logit_softcapping": 30}, "attention.logit_softcapping = 30 is not understood"),
        ({"gemma3__attention__key_length": 16}, "head_dim is 16, that of the model 32"),
        ({"split__count": 3, "split__no": 1}, "is number 1 of 3 parts of a model"),
    ],
)
def test_metadata_that_is_not_understood_or_not_the_model_s_is_refused(tmp_path: Path, more: Any, message: str):
    written("gemma3", fresh(CONFIGS["gemma3"](), 0), tmp_path / "model.gguf", **more)
    with pytest.raises(UserError, match=message):
        restore(fresh(CONFIGS["gemma3"](), 1), tmp_path / "model.gguf")


def test_a_broken_file_is_the_user_s_error(alone: Path, tmp_path: Path):
    content = alone.read_bytes()
    for length in (8, 40, 3000):
        (tmp_path / "a.gguf").write_bytes(content[:length])
        with pytest.raises(UserError, match="transformers cannot read it by itself"):
            qm.Task.causal_lm(tmp_path / "a.gguf").empty()
        with pytest.raises(UserError, match="transformers cannot read it by itself"):
            tokenizer_at(tmp_path / "a.gguf")


def test_the_metadata_of_a_file_is_parsed_once(alone: Path, monkeypatch: pytest.MonkeyPatch):
    from transformers import modeling_gguf_pytorch_utils as theirs

    from quantmis.models import gguf_alone

    parse, paths = theirs.load_gguf_checkpoint, list[str]()
    monkeypatch.setattr(
        theirs, "load_gguf_checkpoint", lambda path, *a, **k: paths.append(path) or parse(path, *a, **k)
    )
    counting = theirs.load_gguf_checkpoint
    gguf_alone.PARSED.clear()
    task = qm.Task.causal_lm(alone)
    assert task.empty().config.vocab_size == task.empty().config.vocab_size == 300
    tokenizer_at(alone)
    assert len(paths) == 1
    assert theirs.load_gguf_checkpoint is counting
    alone.touch()
    task.empty()
    assert len(paths) == 2
