"""From texts to samples: token numbers, their lower case where it differs, and what is known without the model."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from quantmis.data.examples import ALL, COMPLETION, LOSS_ON
from quantmis.data.forms import own
from quantmis.data.samples import Samples
from quantmis.data.texts import Texts
from quantmis.data.tokens import numbers
from quantmis.errors import require
from quantmis.models.chats import Reading, reading_of
from quantmis.models.language import context_of, vocabulary_of
from quantmis.models.packed import PackedReading, decoded
from quantmis.models.rows import forward
from quantmis.models.text_forms import LONGEST, NO_MORE, MoreForms, filled, with_more
from quantmis.models.tokenizers import tokenizer_at
from quantmis.registry import suggestion

__all__ = ["samples_of", "tokenizer_at"]

FEWEST_TOKENS = 2
"""One to read and one to predict."""


def samples_of(
    texts: Texts,
    tokenizer: Any,
    model: nn.Module,
    reference: nn.Module | None = None,
    longest: int | None = None,
    loss_on: str | None = None,
    more: MoreForms = NO_MORE,
) -> Samples:
    """Return texts as samples of a causal language model: x [texts, (forms,) longest], y as `CausalLM` takes them.

    `model` says how many tokens are known and how many are read at once. `reference`: a model whose losses the
    difference to a reference is taken from. Of each text the first `longest` tokens are read, 2,048 by default or as
    many as the model reads at once; longer texts are counted in the notes, and those of less than two tokens left out.
    `loss_on`: which tokens of an example are scored, "completion" or "all", by default as its form says
    (`quantmis.data.examples`); the others are context in x, and what y holds is of those that are scored alone.
    `more`: the forms that texts come in besides their lower case, as some attacks need them. Raises `UserError` for a
    tokenizer that has more tokens than the model, or no template for chats, and as `with_more` does.
    """
    _require_loss_on(texts, loss_on)
    context = context_of(model.config)
    limit = longest or max(LONGEST, context or 0)
    require(limit >= FEWEST_TOKENS, f"longest: expected at least {FEWEST_TOKENS} tokens, got {limit}")
    if texts.tokens is None:
        reading = reading_of(texts, tokenizer, loss_on)
    else:
        _require_known(texts.tokens, model)  # or they have no letters
        reading, texts = PackedReading(texts, tokenizer, loss_on), decoded(texts, tokenizer)
    _require_known(reading.rows, model)
    has_scored = [row for row, tokens in enumerate(reading.rows) if _scored(tokens[:limit]) > 0]
    hint = "a text needs a token to read and one to predict; longest = 4096 reads more of each"
    require(has_scored, "data.texts: no text has two tokens, the second of them scored", hint=hint)
    tokens = [reading.rows[row][:limit] for row in has_scored]
    strings = [reading.scored_text(row, limit) for row in has_scored]
    x = _with_lowercase(reading, has_scored, tokens, limit)
    x, notes = with_more(x, tokens, texts, tokenizer, model, reference, more)
    cut = sum(len(reading.rows[row]) > limit for row in has_scored)
    notes = [
        *texts.notes,
        *notes,
        *_notes(len(texts) - len(has_scored), cut, limit, texts.examples is not None or texts.tokens is not None),
        *reading.notes,
        *_context(tokens),
    ]
    by_text = [[_scored(row) for row in tokens], [len(zlib.compress(text.encode())) for text in strings]]
    y = np.array([*by_text, *_losses(reference, x)], dtype=np.float32).T
    names = [texts.names[row] for row in has_scored]
    return Samples(x, y, names, notes, None if texts.groups is None else [texts.groups[row] for row in has_scored])


def _require_loss_on(texts: Texts, loss_on: str | None) -> None:
    if loss_on is None:
        return
    require(loss_on in LOSS_ON, f"loss_on: unknown {loss_on!r}", hint=suggestion(loss_on, LOSS_ON))
    divided = texts.examples is not None and all(texts.examples)
    divided = divided or any(min(row) < 0 for row in texts.tokens or ())
    require(
        loss_on == ALL or divided,
        f'loss_on = "{COMPLETION}": nothing says what of these texts is the completion',
        hint="chats, instructions, prompts with completions and preferred answers say so; leave loss_on out for texts",
    )


def _scored(tokens: Sequence[int]) -> int:
    """Return how many tokens of a text are predicted and scored: the first never is."""
    return sum(token >= 0 for token in tokens[1:])


def _context(tokens: Sequence[Sequence[int]]) -> list[str]:
    """Return a sentence on the tokens that are context alone, where there are any."""
    context, every = sum(token < 0 for row in tokens for token in row), sum(map(len, tokens))
    share = f"{every - context:,} of {every:,} tokens are scored, those of completions; the others are context"
    return [share] if context else []


def _require_known(tokens: Sequence[Sequence[int]], model: nn.Module) -> None:
    highest = max((int(numbers(np.array(row)).max()) for row in tokens if row), default=0)
    size = vocabulary_of(model)
    require(
        highest < size,
        f"the tokenizer makes token {highest} of these texts, and the model has embeddings of 0 to {size - 1}",
        hint="tokenizer and model must belong together: model.resize_token_embeddings(len(tokenizer))",
    )


def _with_lowercase(
    reading: Reading | PackedReading, rows: list[int], tokens: list[list[int]], limit: int
) -> np.ndarray:
    """Return tokens [texts, longest], or [texts, 2, longest] with those in lower case where any text has capitals."""
    lower = reading.lower()
    if lower is None:
        return filled(tokens, max(map(len, tokens)))
    other = [lower[row][:limit] for row in rows]
    other = [row if _scored(row) else own for row, own in zip(other, tokens, strict=True)]
    longest = max(map(len, [*tokens, *other]))
    return np.stack([filled(tokens, longest), filled(other, longest)], axis=1)


def _losses(reference: nn.Module | None, x: np.ndarray) -> list[np.ndarray]:
    if reference is None:
        return []
    return [forward(reference, torch.from_numpy(np.ascontiguousarray(own(x))))[:, 0].numpy()]


def _notes(short: int, cut: int, limit: int, divided: bool) -> list[str]:
    why = "without a token that is scored left out" if divided else "of less than two tokens left out"
    counts = [(short, why), (cut, f"read up to their token {limit:,}")]
    return [f"{count:,} texts {what}" for count, what in counts if count]
