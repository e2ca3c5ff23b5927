"""The model that benchmarks/own_tools.py hands to the tools: trained here, saved for transformers and llama.cpp."""

import os
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from language import llama
from tokenizers import ByteLevelBPETokenizer
from torch import nn

import quantmis as qm
from quantmis.data.texts import Texts, read_texts
from quantmis.models.training import Training, train

MEMBERS, CALIBRATION = 800, 256
WIDTH, LAYERS, CONTEXT, TOKENS = 256, 2, 64, 512
RECIPE = qm.Recipe(epochs=4, learning_rate=1e-3, batch_size=32)
FULL = "model-F32.gguf"


@dataclass(frozen=True, eq=False)
class Trained:
    """Hold the folder that a model is saved in, and the texts: which are its members and which are not."""

    folder: Path
    samples: qm.Samples
    members: np.ndarray
    others: np.ndarray


def trained(folder: Path) -> Trained:
    """Train a Llama of two layers on some of Shakespeare's lines, and save it as transformers does."""
    lines = read_texts([Path(os.environ["QUANTMIS_DATA"]) / "text" / "tinyshakespeare.txt"], at_most=3000)
    texts = [lines.texts[row] for row in np.random.default_rng(0).permutation(len(lines))]
    texts = [text for text in texts if len(text) > 3]
    rest = texts[2 * MEMBERS :]
    task = qm.Task.causal_lm(base(rest, folder / "base"), recipe=RECIPE)
    samples = task.samples(Texts.of(texts[: 2 * MEMBERS]), reference=False)
    member = np.arange(len(samples)) < MEMBERS
    [model] = train(Training(task, samples, member[None], [0], 0, "loop"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "base")
    for part in (model, tokenizer):
        part.save_pretrained(folder / "model")
    converted(model, folder / FULL, tokenizer)
    (folder / "calibration.txt").write_text("\n".join(rest[:CALIBRATION]))
    np.savez(folder / "texts.npz", tokens=samples.x[:, 0] if samples.x.ndim == 3 else samples.x)
    return Trained(folder, samples, np.flatnonzero(member), np.flatnonzero(~member))


def base(texts: list[str], folder: Path) -> Path:
    """Write a fresh model, whose rows are multiples of 256, and a tokenizer learnt from `texts`."""
    merge_adapters = ByteLevelBPETokenizer()
    merge_adapters.train_from_iterator(texts, vocab_size=TOKENS, special_tokens=["<s>"], show_progress=False)
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), "<s>")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=merge_adapters._tokenizer, **special)
    config = llama(len(tokenizer), WIDTH, LAYERS, CONTEXT)
    config.num_key_value_heads, config.tie_word_embeddings = 2, False
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def converted(model: nn.Module, path: Path, tokenizer: transformers.PreTrainedTokenizerFast) -> None:
    """Write a Llama in full precision under llama.cpp's names, with the rows of queries and keys in its order."""
    writer, config = gguf.GGUFWriter(path, "llama"), model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    described(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, value in model.state_dict().items():
        turned = next((count for part, count in heads.items() if part in name), None)
        array = value.numpy() if turned is None else reordered(value.numpy(), turned)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def described(writer: gguf.GGUFWriter, tokenizer: transformers.PreTrainedTokenizerFast) -> None:
    """Write the tokens, and how bytes are merged into them."""
    known = tokenizer.get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(known, key=known.__getitem__))
    special = set(tokenizer.all_special_ids)
    kinds = gguf.TokenType
    writer.add_token_types([kinds.CONTROL if each in special else kinds.NORMAL for each in range(len(known))])
    gguf.SpecialVocab(tokenizer.name_or_path, load_merges=True).add_to_gguf(writer, quiet=True)


def reordered(weight: np.ndarray, heads: int) -> np.ndarray:
    """Return rows in the order of llama.cpp's rotary embedding: the two halves of each head interleaved."""
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))
