"""The logits of a language model for a few tokens at a time: those of a whole batch are most of the memory it takes.

A causal model of transformers is a model below, which returns hidden states, and a head, which turns them into logits;
some scale or bend the logits after. So the model runs once for a single logit and what it returns below is kept; then
its own forward runs again over a part of that, for each part, with nothing to compute below.
"""

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

CLOSE = 1e-3
"""How far the logits of a part may be from the one that the model returned itself, of the largest of them."""


class _Given(nn.Module):
    """Stand for the model below: return what it returned, of some tokens, and be it in all else."""

    def __init__(self, below: nn.Module, output: Any, states: Tensor):
        super().__init__()
        self.__dict__["_stands_for"] = below  # no part of this module
        self._output = copy.copy(output)
        self._output.last_hidden_state = states

    def forward(self, *inputs: Any, **words: Any) -> Any:
        """Return what was given, whatever is asked."""
        return self._output

    def __getattr__(self, name: str) -> Any:
        """Return what the model below has under this name: a head may read a scale there, say."""
        return getattr(self.__dict__["_stands_for"], name)


def is_possible(model: Any) -> bool:
    """Say whether a model is one below and a head, which returns the logits of some of its tokens alone."""
    below = getattr(model, getattr(model, "base_model_prefix", "") or "", None)
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    return keeps and isinstance(below, nn.Module) and below is not model


def watch(model: Any) -> None:
    """Let the model below leave what it returns in `model.reading.below`, when logits are wanted in parts."""
    below = getattr(model, model.base_model_prefix)
    below.reading_above = model.reading  # copies of the model have one of their own
    below.register_forward_hook(_keep)


def _keep(module: Any, arguments: Any, output: Any) -> None:
    reading = module.reading_above
    reading.below = output if reading.wants_parts else None


def wants(model: Any, tokens: Tensor) -> bool:
    """Say whether logits are computed in parts now: not while a model learns, is exported, or is one of many."""
    reading = model.reading
    alone = not torch._C._functorch.is_functorch_wrapped_tensor(tokens)  # pyright: ignore
    return reading.in_parts and alone and not (model.training or reading.shows_logits or torch.compiler.is_compiling())


def parts_of(model: Any, below: Any, last: Tensor, tokens: Tensor, at_once: int) -> Iterator[Tensor] | None:
    """Return the logits of all tokens in order, [some tokens, vocabulary] each, in float32.

    `below` is what the model below returned for `tokens` [windows, tokens], `last` the logits of their last column.
    None for a model whose head does something else with a part.
    """
    states = getattr(below, "last_hidden_state", None)
    if not isinstance(states, Tensor) or states.shape[:2] != tokens.shape:
        return None
    [first] = _parts(model, below, states[:1, -1:], tokens[:1, -1:], 1)
    own = last[0, -1:].float()
    same = first.shape == own.shape and bool((first - own).abs().max() <= CLOSE * own.abs().max())
    return _parts(model, below, states, tokens, at_once) if same else None


def _parts(model: Any, below: Any, states: Tensor, tokens: Tensor, at_once: int) -> Iterator[Tensor]:
    prefix = model.base_model_prefix
    own = getattr(model, prefix)
    pairs = zip(states.flatten(0, 1).split(at_once), tokens.flatten().split(at_once), strict=True)
    try:
        for some, numbers in pairs:
            setattr(model, prefix, _Given(own, below, some[None]))
            yield model.forward(input_ids=numbers[None], use_cache=False).logits[0].float()
    finally:
        setattr(model, prefix, own)
