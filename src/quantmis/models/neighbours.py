"""Neighbours of a text (Mattern et al. 2023, arXiv 2305.18462): copies with a few other tokens in the places of some.

What stands there instead is drawn from what a model expects after the text before it, where there is one, and else from
the tokens of all the texts, as often as they stand there. A text has the same neighbours whatever texts are beside it
that a model draws them for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from quantmis import seeds
from quantmis.data.tokens import numbers
from quantmis.models.language import MOST_TOKENS, showing_logits, tokens_with_logits

ONE_IN = 10
"""Of so many tokens that are scored one is replaced, at least one of each text."""

Text = Sequence[int]


def neighbours_of(texts: Sequence[Text], number: int, model: nn.Module | None) -> list[list[list[int]]]:
    """Return `number` neighbours of each text of at least one token that is scored.

    `model` is one that shows its logits; of texts that are longer than it reads at once, tokens within that are
    replaced.
    """
    common = _frequencies(texts)
    found = list[list[list[int]]]()
    for text in texts:
        draw, scored = seeds.generator(0, "neighbours", repr(list(text))), _scored(text)
        within = scored if model is None else scored[scored < _at_once(model)]
        expected = None if model is None or not len(within) else _expected(model, text, within)
        places = within if len(within) else scored
        choices = [draw.choice(len(places), max(1, len(places) // ONE_IN), replace=False) for _ in range(number)]
        found.append([_replaced(text, places, own, common if expected is None else expected, draw) for own in choices])
    return found


def note(number: int, from_model: bool) -> str:
    """Return a sentence on what neighbours are and what they cost."""
    source = "that the model before fine-tuning expects there" if from_model else "of all the texts"
    return (
        f"neighbourhood: each text also stands as {number:,} copies with one in {ONE_IN} of its tokens replaced "
        f"by ones {source}: {number:,} forward passes more for each version"
    )


def _frequencies(texts: Sequence[Text]) -> np.ndarray:
    """Return how often each token stands in texts, [1, tokens]: the same at every place."""
    return np.bincount(np.concatenate([numbers(np.array(text)) for text in texts])).astype(np.float64)[None]


def _scored(text: Text) -> np.ndarray:
    tokens = np.flatnonzero(np.array(text) >= 0)
    return tokens[tokens > 0]


def _at_once(model: nn.Module) -> int:
    """Return how many tokens of a text are read to see what a model expects after each."""
    reading: Any = model.reading
    return min(tokens_with_logits(model), reading.context or MOST_TOKENS)


@torch.no_grad()
def _expected(model: nn.Module, text: Text, places: np.ndarray) -> np.ndarray:
    """Return how likely a model finds each token at each of some places of a text, [places, vocabulary]."""
    row = torch.from_numpy(numbers(np.array(text, dtype=np.int64)))[None, : int(places.max()) + 1]
    model.eval()
    with showing_logits(model):
        logits = model(row)[0]
    return logits[torch.from_numpy(places - 1)].float().softmax(-1).numpy()


def _replaced(
    text: Text, places: np.ndarray, chosen: np.ndarray, chances: np.ndarray, draw: np.random.Generator
) -> list[int]:
    """Return a text with other tokens at the `chosen` ones of its `places`; `chances` are [places or 1, tokens]."""
    copy = list(text)
    for number in chosen.tolist():
        place = int(places[number])
        odds = chances[number % len(chances)].astype(np.float64)
        odds[text[place]] = 0.0
        sums = odds.cumsum()
        copy[place] = int(sums.searchsorted(draw.random() * sums[-1], side="right")) if sums[-1] > 0 else text[place]
    return copy
