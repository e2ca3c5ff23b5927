"""Classifiers of the transformers library as plain modules: from one tensor alone to logits alone.

Before a model's forward, sequences that were filled up with -1 (`quantmis.data.tokens`) become token numbers and an
attention mask, so that the filling is seen by no token; after it, the logits are taken out.
"""

from typing import Any

import torch
from torch import Tensor, nn

from quantmis.data.tokens import PADDING

AT_ONCE = 64
"""Samples that go through such a model at once where nothing is learnt."""

SMALL = 20_000_000
"""Weights of a model below which attention is computed in the open: only so can several be trained as one."""


def plain(model: Any) -> nn.Module:
    """Return a model of transformers that takes one tensor and returns its logits."""
    reads_text = hasattr(model.config, "vocab_size")
    model.lacks_padding_token = reads_text and model.config.pad_token_id is None
    if reads_text:
        model.register_forward_pre_hook(_masked, with_kwargs=True)
    if model.lacks_padding_token:
        model.get_input_embeddings().register_forward_pre_hook(_without_padding)
    model.register_forward_hook(_logits)
    model.samples_at_once = AT_ONCE
    return in_the_open(model)


def in_the_open(model: Any) -> Any:
    """Let a small model compute its attention in the open."""
    if sum(weight.numel() for weight in model.parameters()) < SMALL:
        model.set_attn_implementation("eager")
    return model


def _masked(module: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    """Turn a tensor of token numbers, filled up with -1, into what models of transformers take."""
    tokens: Tensor = arguments[0]
    mask = tokens >= 0
    try:  # the columns that hold nothing but filling; under vmap nobody can say which they are, and all are kept
        longest = int(mask.sum(1).max())
    except RuntimeError:
        longest = tokens.shape[1]
    mask, tokens = mask[:, :longest], tokens[:, :longest]
    config: Any = module.config
    if module.lacks_padding_token:  # models that read a text's last token look for it: no token of a text is it
        config.pad_token_id = PADDING
    return (), {**words, "input_ids": torch.where(mask, tokens, config.pad_token_id), "attention_mask": mask.long()}


def _without_padding(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let the filling be embedded as some token or other: the mask hides it."""
    return (arguments[0].clamp(min=0), *arguments[1:])


def _logits(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Tensor:
    if module.lacks_padding_token:
        config: Any = module.config
        config.pad_token_id = None
    return output.logits
