"""Samples that can only be remembered: copies with the targets of others, and random texts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from quantmis.data.forms import all_tokens
from quantmis.data.membership import joined
from quantmis.data.samples import Samples
from quantmis.data.tokens import PADDING, numbers
from quantmis.errors import require

ATTEMPTS = 100

REPEATS = (1, 4, 16)
"""How often canaries among texts stand in the training set of a model that is trained on them."""

LENGTH, PREFIX = 16, 8
"""Tokens of a canary among texts, and how many of them an attacker is given who wants the rest."""

ALTERNATIVES = 255
"""Random texts like the canaries on which no model is trained: what a canary's rank is taken among."""


@dataclass(frozen=True, eq=False)
class Planted:
    """Hold samples, the last `canaries` of them canaries, and how often each stands in a training set that it is in.

    `repeats` [samples] is 0 for what no model is trained on, and 1 for ordinary samples; `plain` are those before the
    canaries.
    """

    samples: Samples
    canaries: int
    repeats: Int[np.ndarray, " samples"]
    plain: Samples

    @classmethod
    def none(cls, samples: Samples) -> "Planted":
        """Return samples without canaries."""
        return cls(samples, 0, np.ones(len(samples), dtype=np.int64), samples)

    @cached_property
    def together(self) -> Int[np.ndarray, " samples"] | None:
        """Groups, with copies of a sample in one; None where each sample is by itself, as every canary is."""
        groups = joined(self.plain.groups, self.plain.copies.codes)
        return None if groups is None else np.concatenate([groups, groups.max() + 1 + np.arange(self.canaries)])


def with_canaries(samples: Samples, number: int, generator: np.random.Generator) -> Planted:
    """Return `samples` and, behind them, `number` copies of some whose targets are those of others, all different.

    Raises `UserError` where there are not enough samples, or too few different targets.

    >>> twenty = Samples(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)
    >>> planted = with_canaries(twenty, 2, np.random.default_rng(0)).samples
    >>> len(planted), bool((planted.y[20:] != 1 - planted.y[20:]).all())
    (22, True)
    """
    if number == 0:
        return Planted.none(samples)
    half = len(samples) // 2
    require(number <= half and number % 2 == 0, f"canaries: expected an even number of at most {half}, got {number}")
    rows = generator.choice(len(samples), number, replace=False)
    others = _of_others(samples.y, rows, generator)
    all_samples = samples.joined(samples.x[rows], samples.y[others], [f"canary {each}" for each in range(number)])
    return Planted(all_samples, number, np.ones(len(all_samples), dtype=np.int64), samples)


def with_random_texts(samples: Samples, number: int, generator: np.random.Generator) -> Planted:
    """Return texts and, behind them, random ones: `number` for each of `REPEATS`, and `ALTERNATIVES`.

    Their tokens are drawn from those of the texts, all alike. `samples` are those of a causal language model.

    >>> texts = Samples(np.arange(60).reshape(20, 3), np.ones((20, 2)))
    >>> planted = with_random_texts(texts, 2, np.random.default_rng(0))
    >>> planted.canaries, planted.samples.x.shape, planted.repeats[20:27].tolist()
    (261, (281, 16), [1, 1, 4, 4, 16, 16, 0])
    """
    if number == 0:
        return Planted.none(samples)
    require(number > 0 and number % 2 == 0, f"canaries: expected an even number, got {number}")
    repeats = np.array([*np.repeat(REPEATS, number), *[0] * ALTERNATIVES], dtype=np.int64)
    tokens = all_tokens(samples.x)
    vocabulary = np.unique(numbers(tokens[tokens != PADDING]))
    texts = generator.choice(vocabulary, (len(repeats), LENGTH)).astype(samples.x.dtype)
    longest = max(LENGTH, samples.x.shape[-1])
    x = np.full((len(samples), *samples.x.shape[1:-1], longest), PADDING, dtype=samples.x.dtype)
    x[..., : samples.x.shape[-1]] = samples.x
    canaries = np.full((len(repeats), *x.shape[1:]), PADDING, dtype=x.dtype)
    canaries[..., :LENGTH] = texts if x.ndim == 2 else texts[:, None]  # in lower case they are what they are
    y = np.tile(np.median(samples.y, axis=0), (len(repeats), 1)).astype(np.float32)
    y[:, 0] = LENGTH - 1
    wider = samples.replaced(x, samples.y)
    all_samples = wider.joined(canaries, y, [f"canary {each}" for each in range(len(repeats))])
    often = np.concatenate([np.ones(len(samples), dtype=np.int64), repeats])
    return Planted(all_samples, len(repeats), often, samples)


def _of_others(y: np.ndarray, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    others = generator.integers(len(y), size=len(rows))
    for _ in range(ATTEMPTS):
        same = (y[others] == y[rows]).reshape(len(rows), -1).all(1)
        if not same.any():
            return others
        others[same] = generator.integers(len(y), size=int(same.sum()))
    require(False, "canaries: the targets hardly differ, so none can be given the target of another")
    return others
