"""What is read off the logits of texts: their loss, and the signals of attacks, a few numbers for each text."""

import torch
from torch import Tensor, nn

from quantmis.data.forms import UNIT
from quantmis.data.tokens import PADDING

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

CACHED = 2**18
"""Logits that are turned into statistics at once: so few that a processor's cache holds them."""

SMALLEST = 1e-30
"""Probabilities below are not exact in float32."""


def log_probability(logits: Tensor, target: Tensor) -> Tensor:
    """Return the log-probability of each target, [..., tokens]."""
    picked = logits.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return picked - torch.logsumexp(logits, -1)


def loss_of_texts(log_p: Tensor, target: Tensor) -> Tensor:
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


def calibrated(log_p: Tensor, surprise: Tensor) -> Tensor:
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
    return of_texts(*by_token(logits, target), target)


def by_token(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each token, and how far it lies above the mean of all, as `_tokens` does."""
    return (_whole if torch.compiler.is_compiling() else in_parts)(logits, target)


def of_texts(log_p: Tensor, standard: Tensor, target: Tensor) -> Tensor:
    """Return the statistics of texts, [texts, `ALWAYS`], from those of their tokens, [texts, windows, tokens] each."""
    lowest = _lowest(torch.stack([log_p, standard]), target)
    return torch.stack([loss_of_texts(log_p, target), *lowest, _ending(log_p, target)], dim=1)


def _whole(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `in_parts` returns, as an export of any batch size needs it."""
    return _tokens(logits, target, torch.softmax(logits, -1))


def in_parts(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `_tokens` does, [texts, windows, tokens] each, computed for as many tokens at once as fit `CACHED`.

    All parts share the memory of their probabilities: fetching new memory would take longer than filling it.
    """
    at_once = max(8, CACHED // logits.shape[-1])
    memory = logits.new_empty(min(at_once, target.numel()), logits.shape[-1])
    parts = zip(logits.flatten(0, -2).split(at_once), target.flatten().split(at_once), strict=True)
    results = [_tokens(part, follows, torch.softmax(part, -1, out=memory[: len(follows)])) for part, follows in parts]
    return joined(results, target)


def joined(parts: list[tuple[Tensor, Tensor]], target: Tensor) -> tuple[Tensor, Tensor]:
    """Return parts of both as two tensors of the shape of `target`."""
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
