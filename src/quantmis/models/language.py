"""Causal language models as plain modules: from token numbers alone to a few numbers for each text.

Two hooks are put on a model of transformers. Before its forward, texts that were filled up with -1
(`quantmis.data.tokens`) are cut into windows that fit its context; after it, the logits become the mean loss of each
text and, where nothing is learnt, the signals of attacks. So the logits of a vocabulary live no longer than a batch.

The filling stands behind each text, where the attention of a causal model does not reach it from any token of the text,
so no mask is needed, and neither filling nor batching changes a number. Windows overlap by one token, so that each
token but the first is predicted once, from as much of what came before it as its window holds.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from quantmis.data.forms import NEIGHBOURS, OWN, SURPRISE
from quantmis.data.tokens import PADDING, numbers
from quantmis.models import head_in_parts
from quantmis.models.precision import computing
from quantmis.models.text_statistics import (
    by_token,
    calibrated,
    in_parts,
    joined,
    log_probability,
    loss_of_texts,
    of_texts,
)

LOGITS = 2**24
"""Logits that are computed at once where nothing is learnt."""

WHOLE_LOGITS = 2**26
"""Logits of one batch of a model that can only compute all of them."""

MOST_TOKENS = 2**14

WIDE = 2**22
"""Activations of a batch in the widest of its layers."""


@dataclass
class Reading:
    """Hold how a model reads texts, at most `context` tokens at once, and what it is reading: windows of `texts` texts.

    `shows_logits`: its outputs are logits, not statistics. `in_parts`: logits are computed a part at a time, from what
    the model below its head returned, `below`; `wants_parts`: whether they are now. `home`: the device that the texts
    came from, which what is made of them goes back to.
    """

    context: int | None
    in_parts: bool = False
    wants_parts: bool = False
    shows_logits: bool = False
    texts: int = 0
    home: torch.device | None = None
    windows: Tensor | None = None
    surprise: Tensor | None = None
    below: Any = None


def plain(model: Any) -> nn.Module:
    """Return a causal language model that takes token numbers and returns `STATISTICS`, and only the loss in training.

    It takes [texts, longest], or [texts, forms, longest] where each text comes in several (`quantmis.data.forms`).
    """
    reading = Reading(context_of(model.config), head_in_parts.is_possible(model))
    model.reading = reading
    model.register_forward_pre_hook(_windows, with_kwargs=True)
    if reading.in_parts:
        head_in_parts.watch(model)
    model.register_forward_hook(_statistics)
    model.tokens_at_once = _tokens_at_once(model, reading)
    return model


def _tokens_at_once(model: Any, reading: Reading) -> int:
    if not reading.in_parts:
        return tokens_with_logits(model)
    widest = max((max(weight.shape) for weight in _inner_weights(model)), default=1)
    return max(1, min(MOST_TOKENS, WIDE // widest))


def tokens_with_logits(model: nn.Module) -> int:
    """Return how many tokens are read at once where the logits of all of them are looked at."""
    return max(1, min(MOST_TOKENS, WHOLE_LOGITS // vocabulary_of(model)))


def _inner_weights(model: Any) -> list[Tensor]:
    """Return the matrices of a model but for those of its vocabulary."""
    count = vocabulary_of(model)
    return [value for value in model.parameters() if value.ndim == 2 and count not in value.shape]


def context_of(config: Any) -> int | None:
    """Return the longest text that a model reads at once, None where there is no limit, also written as -1."""
    limits = (getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
    return next((int(each) for each in limits if each and each > 0), None)


def vocabulary_of(model: nn.Module) -> int:
    """Return the number of tokens that a model has embeddings of."""
    embeddings: Any = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    return int(embeddings.weight.shape[0])


@contextmanager
def showing_logits(model: Any) -> Generator[None]:
    """Let the model return its logits, [texts, tokens, vocabulary], in float32, while this lasts."""
    model.reading.shows_logits = True
    try:
        with computing(model):
            yield
    finally:
        model.reading.shows_logits = False


def _windows(module: Any, arguments: tuple[Tensor, ...], words: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    """Turn texts into windows of at most the context, and the filling into a token, whichever it is.

    Tokens that are context alone (`quantmis.data.tokens`) are read as any other; their sign says that none is scored.
    """
    reading, place = module.reading, module.get_input_embeddings().weight.device
    tokens, surprise = arguments[0].to(place).long(), words.pop("surprise", None)
    surprise = None if surprise is None else surprise.to(place)
    reading.texts, reading.home = len(tokens), arguments[0].device
    if tokens.ndim == 3:
        surprise = tokens[:, SURPRISE] if tokens.shape[1] > SURPRISE and not module.training else None
        tokens = tokens[:, OWN] if module.training else _in_turn(tokens)
    trimmed = _trimmed(tokens)
    reading.windows = windows(trimmed, reading.context)
    reading.surprise = None if surprise is None else windows(surprise[:, : trimmed.shape[1]], reading.context)
    reading.wants_parts = head_in_parts.wants(module, tokens)
    only = {"logits_to_keep": 1} if reading.wants_parts else {}
    return (), {**words, "input_ids": numbers(reading.windows).flatten(0, 1).clamp(min=0), "use_cache": False, **only}


def _in_turn(forms: Tensor) -> Tensor:
    """Return texts [texts, forms, longest] as [forms of tokens * texts, longest], one form after the other."""
    tokens = torch.cat([forms[:, :SURPRISE], forms[:, NEIGHBOURS:]], dim=1)
    return tokens.transpose(0, 1).flatten(0, 1)


def _trimmed(tokens: Tensor) -> Tensor:
    """Leave out the columns that hold nothing but filling; under vmap nobody can say which, and all are kept."""
    try:
        return tokens[:, : max(2, int((tokens != PADDING).sum(1).max()))]
    except RuntimeError:
        return tokens


def windows(tokens: Tensor, context: int | None) -> Tensor:
    """Return texts [texts, longest] as windows [texts, windows, context] that overlap by one token, filled up with -1.

    >>> windows(torch.arange(6)[None], context=3).tolist()
    [[[0, 1, 2], [2, 3, 4], [4, 5, -1]]]
    """
    longest = tokens.shape[1]
    if context is None or longest <= context:
        return tokens.unsqueeze(1)
    starts = torch.arange(0, longest - 1, context - 1, device=tokens.device)
    filled = nn.functional.pad(tokens, (0, int(starts[-1]) + context - longest), value=PADDING)
    return filled[:, starts[:, None] + torch.arange(context, device=tokens.device)]


def _statistics(module: Any, arguments: tuple[Any, ...], output: Any) -> Tensor:
    """Turn the logits of windows into the statistics of texts, [texts, statistics]."""
    reading, logits = module.reading, output.logits
    tokens, reading.windows = reading.windows, None
    surprise, reading.surprise = reading.surprise, None
    if reading.shows_logits:
        return logits.to(reading.home)
    target = nn.functional.pad(tokens[..., 1:], (0, 1), value=PADDING)
    if module.training:
        logits = logits.unflatten(0, tokens.shape[:2]).float()
        return loss_of_texts(log_probability(logits, target.clamp(min=0)), target)[:, None].to(reading.home)
    if reading.wants_parts:
        log_p, standard = _by_token_in_parts(module, logits, tokens, target)
    else:
        log_p, standard = by_token(logits.unflatten(0, tokens.shape[:2]).float(), target)
    texts = reading.texts
    losses = loss_of_texts(log_p[texts:], target[texts:]).view(-1, texts).T
    parts = [of_texts(log_p[:texts], standard[:texts], target[:texts]), losses[:, : SURPRISE - 1]]
    if surprise is not None:
        parts.append(calibrated(log_p[:texts], surprise)[:, None])
    if losses.shape[1] >= SURPRISE:
        parts.append(losses[:, SURPRISE - 1 :].mean(1, keepdim=True))
    return torch.cat(parts, dim=1).to(reading.home)


def _by_token_in_parts(module: Any, last: Tensor, tokens: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `by_token` does, from the logits of a few tokens at a time; `last` are those of the last tokens."""
    reading, read = module.reading, numbers(tokens).flatten(0, 1).clamp(min=0)
    below, reading.below = reading.below, None
    parts = head_in_parts.parts_of(module, below, last, read, max(1, LOGITS // vocabulary_of(module)))
    if parts is None:
        reading.in_parts, module.tokens_at_once = False, _tokens_at_once(module, reading)
        whole = module.forward(input_ids=read, use_cache=False).logits
        return by_token(whole.unflatten(0, tokens.shape[:2]).float(), target)
    follows = target.flatten()
    start = 0
    found: list[tuple[Tensor, Tensor]] = []
    for part in parts:
        found.append(in_parts(part, follows[start : start + len(part)]))
        start += len(part)
    return joined(found, target)
