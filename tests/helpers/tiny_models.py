"""Tiny base models with their tokenizers, saved to disk as a user's folder, and texts of one source."""

import os
import warnings
from pathlib import Path

import numpy as np
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
with warnings.catch_warnings():  # of other libraries, about themselves
    warnings.simplefilter("ignore")
    import peft  # noqa: F401
    import transformers

WORDS = ("river", "stone", "Anna", "night", "walks", "the", "Under", "seven", "silver", "roads", "of", "Paris", "sings")


def sentences(number: int, seed: int = 0, words: tuple[str, ...] = WORDS) -> list[str]:
    draw = np.random.default_rng(seed)
    made = dict.fromkeys(" ".join(draw.choice(words, size=draw.integers(4, 9))) for _ in range(3 * number))
    return list(made)[:number]


def save_base(folder: Path, kind: str = "llama", context: int = 64) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(sentences(200), trainer)
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), "<s>")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)
    tokenizer.save_pretrained(folder)
    sizes = {
        "llama": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"num_key_value_heads": 1, "max_position_embeddings": context},
        "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": context}
        | dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0),
    }
    torch.manual_seed(0)
    tokens = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = transformers.AutoConfig.for_model(kind, vocab_size=len(tokenizer), **sizes[kind], **tokens)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


TEMPLATE = (
    "{% for message in messages %}{{ '[' + message['role'] + ']\n' + message['content'] + ' <s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]\n' }}{% endif %}"
)
"""A template of chats in the manner of ChatML, for `save_base` models."""


def with_template(folder: Path, template: str = TEMPLATE) -> Path:
    """Give the tokenizer in a folder a template of chats."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder
