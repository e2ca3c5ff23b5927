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

from quantmis.data.forms import NEIGHBOURS, OWN, SURPRISE, UNIT
from quantmis.data.tokens import PADDING, numbers
from quantmis.models import head_in_parts
from quantmis.models.precision import computing

SHARE = 0.2
"""The share of a text's tokens that Min-K% and Min-K%++ look at, as in the papers' main results."""

STATISTICS = (
    *("loss", "min_k", "min_k_plus_plus", "ending"),
    *("lowercase_loss", "prefixed_loss", "member_prefixed_loss", "dc_pdd", "neighbour_loss"),
)
"""What a model returns for each text where nothing is learnt; from the fifth on of the forms that a text comes in."""

LOSS = STATISTICS.index("loss")
ALWAYS = STATISTICS.index("lowercase_loss")
"""How many of them every text has."""

ABSENT = -1.0
"""What stands for the loss of a form that texts do not come in; no loss is so small."""

MOST = 0.01
"""What a token counts at most in DC-PDD. Its paper tunes this on texts of known membership, which an audit has not."""

LOGITS = 2**24
"""Logits that are computed at once where nothing is learnt."""

WHOLE_LOGITS = 2**26
"""Logits of one batch of a model that can only compute all of them."""

MOST_TOKENS = 2**14

WIDE = 2**22
"""Activations of a batch in the widest of its layers."""

CACHED = 2**18
"""Logits that are turned into statistics at once: so few that a processor's cache holds them."""

SMALLEST = 1e-30
"""Probabilities below are not exact in float32."""


@dataclass
class Reading:
    """Hold how a model reads texts, at most `context` tokens at once, and what it is reading: windows of `texts` texts.

    `shows_logits`: its outputs are logits, not statistics. `in_parts`: logits are computed a part at a time, from what
    the model below its head returned, `below`; `wants_parts`: whether they are now.
    """

    context: int | None
    in_parts: bool = False
    wants_parts: bool = False
    shows_logits: bool = False
    texts: int = 0
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
    tokens, reading, surprise = arguments[0].long(), module.reading, words.pop("surprise", None)
    reading.texts = len(tokens)
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
    starts = torch.arange(0, longest - 1, context - 1)
    filled = nn.functional.pad(tokens, (0, int(starts[-1]) + context - longest), value=PADDING)
    return filled[:, starts[:, None] + torch.arange(context)]


def _statistics(module: Any, arguments: tuple[Any, ...], output: Any) -> Tensor:
    """Turn the logits of windows into the statistics of texts, [texts, statistics]."""
    reading, logits = module.reading, output.logits
    tokens, reading.windows = reading.windows, None
    surprise, reading.surprise = reading.surprise, None
    if reading.shows_logits:
        return logits
    target = nn.functional.pad(tokens[..., 1:], (0, 1), value=PADDING)
    if module.training:
        logits = logits.unflatten(0, tokens.shape[:2]).float()
        return _loss(_log_probability(logits, target.clamp(min=0)), target)[:, None]
    if reading.wants_parts:
        log_p, standard = _by_token_in_parts(module, logits, tokens, target)
    else:
        log_p, standard = _by_token(logits.unflatten(0, tokens.shape[:2]).float(), target)
    texts = reading.texts
    losses = _loss(log_p[texts:], target[texts:]).view(-1, texts).T
    parts = [_of_texts(log_p[:texts], standard[:texts], target[:texts]), losses[:, : SURPRISE - 1]]
    if surprise is not None:
        parts.append(_calibrated(log_p[:texts], surprise)[:, None])
    if losses.shape[1] >= SURPRISE:
        parts.append(losses[:, SURPRISE - 1 :].mean(1, keepdim=True))
    return torch.cat(parts, dim=1)


def _by_token_in_parts(module: Any, last: Tensor, tokens: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `_by_token` does, from the logits of a few tokens at a time; `last` are those of the last tokens."""
    reading, read = module.reading, numbers(tokens).flatten(0, 1).clamp(min=0)
    below, reading.below = reading.below, None
    parts = head_in_parts.parts_of(module, below, last, read, max(1, LOGITS // vocabulary_of(module)))
    if parts is None:
        reading.in_parts, module.tokens_at_once = False, _tokens_at_once(module, reading)
        whole = module.forward(input_ids=read, use_cache=False).logits
        return _by_token(whole.unflatten(0, tokens.shape[:2]).float(), target)
    follows = target.flatten()
    start = 0
    found: list[tuple[Tensor, Tensor]] = []
    for part in parts:
        found.append(_in_parts(part, follows[start : start + len(part)]))
        start += len(part)
    return _joined(found, target)


def _log_probability(logits: Tensor, target: Tensor) -> Tensor:
    picked = logits.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return picked - torch.logsumexp(logits, -1)


def _loss(log_p: Tensor, target: Tensor) -> Tensor:
    """Return the mean loss of the tokens of each text, [texts]; `ABSENT` where none is scored."""
    mask = target >= 0
    count = mask.flatten(1).sum(1)
    return torch.where(count > 0, -torch.where(mask, log_p, 0.0).flatten(1).sum(1) / count.clamp(min=1), ABSENT)


def _ending(log_p: Tensor, target: Tensor) -> Tensor:
    """Return the log-probability of what is scored of the second half of each text, [texts].

    Of a text with context, a prompt say, that of all that is scored.
    """
    place = (target != PADDING).flatten(1).cumsum(1)
    half = ((place[:, -1:] + 1) // 2).clamp(min=1)
    start = torch.where((target < PADDING).flatten(1).any(1, keepdim=True), 1, half)
    return torch.where((target >= 0).flatten(1) & (place >= start), log_p.flatten(1), 0.0).sum(1)


def _calibrated(log_p: Tensor, surprise: Tensor) -> Tensor:
    """Return the score of DC-PDD of each text, [texts]: the mean over tokens of p times their surprise, at most `MOST`.

    `surprise` [texts, windows, tokens] is that of the tokens themselves; those of 0 do not count.
    """
    follows = nn.functional.pad(surprise[..., 1:], (0, 1), value=0).clamp(min=0)
    counts = (follows > 0).flatten(1)
    each = (log_p.exp() * follows * UNIT).clamp(max=MOST).flatten(1)
    return torch.where(counts, each, 0.0).sum(1) / counts.sum(1).clamp(min=1)


def text_statistics(logits: Tensor, target: Tensor) -> Tensor:
    """Return what every text has of `STATISTICS`, from logits [texts, windows, tokens, vocabulary].

    `target` [texts, windows, tokens] is the token that follows, negative where there is none.
    """
    return _of_texts(*_by_token(logits, target), target)


def _by_token(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return (_whole if torch.compiler.is_compiling() else _in_parts)(logits, target)


def _of_texts(log_p: Tensor, standard: Tensor, target: Tensor) -> Tensor:
    """Return the statistics of texts, [texts, `ALWAYS`], from those of their tokens, [texts, windows, tokens] each."""
    lowest = _lowest(torch.stack([log_p, standard]), target)
    return torch.stack([_loss(log_p, target), *lowest, _ending(log_p, target)], dim=1)


def _whole(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `_in_parts` returns, as an export of any batch size needs it."""
    return _tokens(logits, target, torch.softmax(logits, -1))


def _in_parts(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `_tokens` does, [texts, windows, tokens] each, computed for as many tokens at once as fit `CACHED`.

    All parts share the memory of their probabilities: fetching new memory would take longer than filling it.
    """
    at_once = max(8, CACHED // logits.shape[-1])
    memory = logits.new_empty(min(at_once, target.numel()), logits.shape[-1])
    parts = zip(logits.flatten(0, -2).split(at_once), target.flatten().split(at_once), strict=True)
    results = [_tokens(part, follows, torch.softmax(part, -1, out=memory[: len(follows)])) for part, follows in parts]
    return _joined(results, target)


def _joined(parts: list[tuple[Tensor, Tensor]], target: Tensor) -> tuple[Tensor, Tensor]:
    one, other = (torch.cat(each).view(target.shape) for each in zip(*parts, strict=True))
    return one, other


def _tokens(logits: Tensor, target: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each target [..., tokens], and how many deviations it lies above the mean of all.

    `p` are the softmax of the logits, which are used up.
    """
    at = target.clamp(min=0).unsqueeze(-1)
    picked = logits.gather(-1, at).squeeze(-1)
    log_p = _logarithm(p.gather(-1, at).squeeze(-1), picked, logits)
    mean = torch.linalg.vecdot(p, logits)
    variance = torch.linalg.vecdot(p, logits.sub_(mean.unsqueeze(-1)).square_())
    return log_p, (picked - mean) / variance.clamp(min=torch.finfo(logits.dtype).eps).sqrt()


def _logarithm(p: Tensor, picked: Tensor, logits: Tensor) -> Tensor:
    """Return log `p`, from the logits where some `p` is too small for its type, and where an export knows no value.

    Of the kernels there are, softmax is the only one that exponentiates fast; logsumexp takes twice as long.
    """
    if not torch.compiler.is_compiling() and bool((p > SMALLEST).all()):
        return p.log()
    return picked - torch.logsumexp(logits, -1)


def _lowest(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the lowest share of each text's values, of one at least, [kinds, texts]."""
    mask = (target >= 0).flatten(1)
    ordered = torch.where(mask, values.flatten(2), torch.inf).sort(-1).values
    count = (SHARE * mask.sum(1)).long().clamp(min=1)
    within = torch.arange(ordered.shape[-1], device=ordered.device) < count[:, None]
    return torch.where(within, ordered, 0.0).sum(-1) / count
