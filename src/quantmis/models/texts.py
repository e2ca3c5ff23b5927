"""From texts to samples: token numbers, their lower case where it differs, and what is known without the model."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from quantmis.data.examples import ALL, COMPLETION, LOSS_ON
from quantmis.data.samples import Samples
from quantmis.data.texts import Texts
from quantmis.data.tokens import PADDING, as_context, numbers
from quantmis.errors import require
from quantmis.models.chats import Reading, reading_of
from quantmis.models.language import context_of, vocabulary_of
from quantmis.models.rows import forward
from quantmis.models.tokenizers import Tokens, tokenizer_at
from quantmis.registry import suggestion

__all__ = ["samples_of", "tokenizer_at"]

FEWEST_TOKENS = 2
"""One to read and one to predict."""

LONGEST = 2048
"""Tokens of a text that are read, where nothing else is asked for and the context is no longer."""


def samples_of(
    texts: Texts,
    tokenizer: Any,
    model: nn.Module,
    reference: nn.Module | None = None,
    longest: int | None = None,
    loss_on: str | None = None,
    prefix: Texts | None = None,
) -> Samples:
    """Return texts as samples of a causal language model: x [texts, (2,) longest], y as `CausalLM` takes them.

    `model` says how many tokens are known and how many are read at once. `reference`: a model whose losses the
    difference to a reference is taken from. Of each text the first `longest` tokens are read, 2,048 by default or as
    many as the model reads at once; longer texts are counted in the notes, and those of less than two tokens left out.
    `loss_on`: which tokens of an example are scored, "completion" or "all", by default as its form says
    (`quantmis.data.examples`); the others are context in x, and what y holds is of those that are scored alone.
    `prefix`: texts that the model never saw; each text then also comes behind them, x being [texts, 3, longest], as the
    attack recall needs it. Raises `UserError` for a tokenizer that has more tokens than the model, or no template for
    chats, and for a prefix that is among the texts.
    """
    _require_loss_on(texts, loss_on)
    context = context_of(model.config)
    limit = longest or max(LONGEST, context or 0)
    require(limit >= FEWEST_TOKENS, f"longest: expected at least {FEWEST_TOKENS} tokens, got {limit}")
    reading = reading_of(texts, tokenizer, loss_on)
    _require_known(reading.rows, model)
    has_scored = [row for row, tokens in enumerate(reading.rows) if _scored(tokens[:limit]) > 0]
    hint = "a text needs a token to read and one to predict; longest = 4096 reads more of each"
    require(has_scored, "data.texts: no text has two tokens, the second of them scored", hint=hint)
    tokens = [reading.rows[row][:limit] for row in has_scored]
    strings = [reading.scored_text(row, limit) for row in has_scored]
    x = _with_lowercase(reading, has_scored, tokens, limit)
    notes = list[str]()
    if prefix is not None:
        before, notes = _prefix(prefix, texts, tokenizer, context)
        x = _with_prefix(x, tokens, before, Tokens(tokenizer).beginning)
    cut = sum(len(reading.rows[row]) > limit for row in has_scored)
    notes = [
        *texts.notes,
        *notes,
        *_notes(len(texts) - len(has_scored), cut, limit, texts.examples is not None),
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


def _with_lowercase(reading: Reading, rows: list[int], tokens: list[list[int]], limit: int) -> np.ndarray:
    """Return tokens [texts, longest], or [texts, 2, longest] with those in lower case where any text has capitals."""
    lower = reading.lower()
    if lower is None:
        return _filled(tokens, max(map(len, tokens)))
    other = [lower[row][:limit] for row in rows]
    other = [row if _scored(row) else own for row, own in zip(other, tokens, strict=True)]
    longest = max(map(len, [*tokens, *other]))
    return np.stack([_filled(tokens, longest), _filled(other, longest)], axis=1)


def _prefix(prefix: Texts, texts: Texts, tokenizer: Any, context: int | None) -> tuple[list[int], list[str]]:
    """Return the tokens of a prefix, half of the context at most, and a note on them."""
    both = set(prefix.texts) & set(texts.texts)
    hint = "it is of texts that the model never saw, and that are not audited"
    require(not both, f"prefix: {len(both)} of its texts are among those that are audited", hint=hint)
    require(prefix.examples is None, "prefix: it is of texts, not of chats", hint="write them into a .txt file")
    [tokens] = reading_of(Texts.of([" ".join(prefix.texts)]), tokenizer).rows
    tokens = tokens[: max(1, (context or 2 * LONGEST) // 2)]
    return tokens, [f"recall: each text also stands behind {len(tokens):,} tokens of texts that the model never saw"]


def _with_prefix(x: np.ndarray, tokens: list[list[int]], before: list[int], beginning: int) -> np.ndarray:
    """Return texts with a third form, behind a prefix that is context: the same tokens are scored, given more."""
    own, lower = (x, x) if x.ndim == 2 else (x[:, 0], x[:, 1])
    context = [as_context(token) for token in before]
    rows = [[*context, *_first(row, before, beginning), *row[1:]] for row in tokens]
    longest = max(int(own.shape[1]), *map(len, rows))
    return np.stack([_filled(own, longest), _filled(lower, longest), _filled(rows, longest)], axis=1)


def _first(row: list[int], before: list[int], beginning: int) -> list[int]:
    """Return the first token of a text as context; nothing where it is the token of the beginning, and is there."""
    token = int(numbers(np.array(row[0])))
    return [] if token == before[0] == beginning else [as_context(token)]


def _filled(rows: Sequence[Sequence[int]] | np.ndarray, longest: int) -> np.ndarray:
    table = np.full((len(rows), longest), PADDING, dtype=np.int32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _losses(reference: nn.Module | None, x: np.ndarray) -> list[np.ndarray]:
    if reference is None:
        return []
    own = x if x.ndim == 2 else x[:, 0]
    return [forward(reference, torch.from_numpy(np.ascontiguousarray(own)))[:, 0].numpy()]


def _notes(short: int, cut: int, limit: int, divided: bool) -> list[str]:
    why = "without a token that is scored left out" if divided else "of less than two tokens left out"
    counts = [(short, why), (cut, f"read up to their token {limit:,}")]
    return [f"{count:,} texts {what}" for count, what in counts if count]
