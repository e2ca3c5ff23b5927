"""What a language model gives away of secrets: whether it writes one by itself, how nearly, and how it ranks it.

*Exact*: always with the likeliest token, the model goes on from the prefix and writes the secret. *Fuzzy*: how much of
the secret stands in what it writes, as the edits that are missing of some part of that. *Rank*: how likely it finds the
secret after the prefix, among alternatives (exposure, Carlini et al. 2019, arXiv 1802.08232).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from quantmis.data.secret_scores import SecretScores
from quantmis.data.secrets import Secret
from quantmis.data.tokens import PADDING
from quantmis.errors import require
from quantmis.models.hugging_face import quiet
from quantmis.models.language import showing_logits, tokens_with_logits
from quantmis.models.tokenizers import Tokens

MORE = 8
"""Tokens that the model may write beyond as many as a secret has: a few words may come before it."""

Row = list[int]


@dataclass(frozen=True, eq=False)
class Secrets:
    """Hold secrets as tokens: what `leaked_by` asks a model for.

    `before`: the tokens of each prefix. `candidates`: of each secret the tokens behind that are its own, then those of
    its alternatives; `shared`: those that all of these begin with, the prefix but for tokens that reach into it.
    """

    secrets: tuple[Secret, ...]
    tokenizer: Any
    before: tuple[Row, ...]
    shared: tuple[Row, ...]
    candidates: tuple[tuple[Row, ...], ...]

    def __len__(self) -> int:
        return len(self.secrets)

    @classmethod
    def of(cls, secrets: Sequence[Secret], tokenizer: Any) -> "Secrets":
        """Return secrets as the tokens that a tokenizer makes of them."""
        tokens = Tokens(tokenizer)
        before = [_open(tokens([each.prefix])[0], tokens) for each in secrets]
        shared, candidates = list[Row](), list[tuple[Row, ...]]()
        for each, prefix in zip(secrets, before, strict=True):
            wholes = [
                _open(row, tokens) for row in tokens([each.prefix + end for end in (each.secret, *each.alternatives)])
            ]
            start = max(1, min(_in_common(prefix, whole) for whole in wholes))
            shared.append(wholes[0][:start])
            candidates.append(tuple(whole[start:] for whole in wholes))
            require(all(candidates[-1]), f"{each.name}: an alternative leaves no token behind the prefix")
        return cls(tuple(secrets), tokenizer, tuple(before), tuple(shared), tuple(candidates))

    def leaked_by(self, model: nn.Module) -> SecretScores | None:
        """Return what a model gives away of each secret; None for a model that shows no logits."""
        if getattr(model, "reading", None) is None:
            return None
        written = [
            self._text(row) for row in _continued(model, self.before, [len(each[0]) + MORE for each in self.candidates])
        ]
        pairs = [(each.secret.strip(), text) for each, text in zip(self.secrets, written, strict=True)]
        log_p = self._log_probabilities(model)
        return SecretScores(
            names=np.array([each.name for each in self.secrets]),
            is_written=np.array([secret in text for secret, text in pairs]),
            similarity=np.array([similarity(secret, text) for secret, text in pairs]),
            rank=np.array([_rank(each) for each in log_p]),
            alternatives=np.array([len(each) - 1 for each in log_p], dtype=np.int64),
        )

    def _text(self, tokens: Row) -> str:
        with quiet():
            return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def _log_probabilities(self, model: nn.Module) -> list[Float[np.ndarray, " candidates"]]:
        """Return how likely the model finds each secret, and each of its alternatives, behind the prefix."""
        rows = [(start, end) for start, ends in zip(self.shared, self.candidates, strict=True) for end in ends]
        log_p = _log_probability_of(model, rows)
        sizes = np.cumsum([len(each) for each in self.candidates])[:-1]
        return np.split(log_p, sizes)


def _open(row: Row, tokens: Tokens) -> Row:
    """Return the tokens of a text that goes on: without the one that ends a text."""
    return row[:-1] if len(row) > 1 and row[-1] == tokens.end_token else row


def _in_common(one: Row, other: Row) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _rank(log_p: Float[np.ndarray, " candidates"]) -> float:
    """Return the rank of the first among all, from 1; those as likely share the mean of their ranks."""
    return float(1 + (log_p[1:] > log_p[0]).sum() + (log_p[1:] == log_p[0]).sum() / 2)


def similarity(secret: str, text: str) -> float:
    """Return one less the fewest edits that make the secret of a part of the text, in characters of the secret.

    >>> similarity("493-17", "it is 493-71."), similarity("abc", "")
    (0.8333333333333334, 0.0)
    """
    edits = np.zeros(len(text) + 1, dtype=np.int64)  # the part may begin anywhere
    steps = np.arange(len(text) + 1)
    letters = np.array(list(text))
    for number, letter in enumerate(secret, 1):
        kept = np.r_[number, np.minimum(edits[1:] + 1, edits[:-1] + (letters != letter if len(text) else 0))]
        edits = np.minimum.accumulate(kept - steps) + steps  # a letter of the text left out costs one
    return 1 - int(edits.min()) / len(secret)


@torch.no_grad()
def _continued(model: Any, starts: Sequence[Row], counts: Sequence[int]) -> list[Row]:
    """Return as many of the likeliest tokens after each start as its count says."""
    context = model.reading.context
    rows = [
        row if context is None else row[-max(1, context - count) :] for row, count in zip(starts, counts, strict=True)
    ]
    found: list[Row] = [[] for _ in rows]
    model.eval()
    with showing_logits(model):
        for step in range(max(counts)):
            going = [place for place, count in enumerate(counts) if step < count]
            for batch in _batches(model, [rows[place] + found[place] for place in going]):
                texts = [rows[going[place]] + found[going[place]] for place in batch]
                logits = model(_filled(texts))
                for place, text, each in zip(batch, texts, logits, strict=True):
                    found[going[place]].append(int(each[len(text) - 1].argmax()))
    return found


@torch.no_grad()
def _log_probability_of(model: Any, rows: Sequence[tuple[Row, Row]]) -> Float[np.ndarray, " rows"]:
    """Return the log-probability of each end, given its start; of a start beyond the context the last tokens."""
    context = model.reading.context
    cut = [(start if context is None else start[-max(1, context - len(end)) :], end) for start, end in rows]
    log_p = np.zeros(len(rows))
    model.eval()
    with showing_logits(model):
        for batch in _batches(model, [start + end for start, end in cut]):
            texts = _filled([cut[place][0] + cut[place][1] for place in batch])
            each = model(texts)[:, :-1].float().log_softmax(-1)
            each = each.gather(-1, texts[:, 1:, None].clamp(min=0)).squeeze(-1).double().numpy()
            for line, place in zip(each, batch, strict=True):
                start, end = cut[place]
                log_p[place] = line[len(start) - 1 : len(start) + len(end) - 1].sum()
    return log_p


def _batches(model: nn.Module, rows: Sequence[Row]) -> list[list[int]]:
    """Return the numbers of rows that are read at once, those of like length together."""
    order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
    batches, at_once = list[list[int]](), tokens_with_logits(model)
    while order:
        size = max(1, at_once // len(rows[order[0]]))
        batches.append(order[:size])
        order = order[size:]
    return batches


def _filled(rows: Sequence[Row]) -> Tensor:
    table = torch.full((len(rows), max(map(len, rows))), PADDING)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row)
    return table
