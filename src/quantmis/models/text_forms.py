"""The further forms of texts that some attacks need (`quantmis.data.forms`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from quantmis.data.forms import LOWERCASE, MEMBER_PREFIXED, NEIGHBOURS, OWN, PREFIXED, SURPRISE, UNIT
from quantmis.data.texts import Texts
from quantmis.data.tokens import PADDING, as_context, numbers
from quantmis.errors import require
from quantmis.models.chats import reading_of
from quantmis.models.language import context_of, vocabulary_of
from quantmis.models.neighbours import neighbours_of, note
from quantmis.models.tokenizers import Tokens

LONGEST = 2048
"""Tokens of a text that are read, where nothing else is asked for and the context is no longer."""

NEVER_SAW = "texts that the model never saw"
TRAINED_ON = "texts that the model was trained on"

Rows = Sequence[list[int]]


@dataclass(frozen=True)
class MoreForms:
    """Say which forms texts come in besides their own and their lower case.

    `prefix` and `member_prefix`: behind texts that the model never saw (recall), and that it was trained on
    (con_recall, which needs both). `corpus`: texts whose tokens say how rare each is (dc_pdd). `neighbours`: how many
    copies with some tokens replaced (neighbourhood).
    """

    prefix: Texts | None = None
    member_prefix: Texts | None = None
    corpus: Texts | None = None
    neighbours: int = 0


NO_MORE = MoreForms()


def with_more(
    x: np.ndarray,
    tokens: Rows,
    texts: Texts,
    tokenizer: Any,
    model: nn.Module,
    reference: nn.Module | None,
    more: MoreForms,
) -> tuple[np.ndarray, list[str]]:
    """Return texts `x` with the forms that are asked for, and notes on these; unchanged where none are.

    `tokens` are those of the texts; neighbours are drawn from `reference`, where there is one. Raises `UserError` for a
    prefix or corpus with a text that is audited, and for what cannot be asked for.
    """
    _require_apart(texts, more)
    forms, notes = dict[int, list[Rows]](), list[str]()
    for form, prefix, what in ((PREFIXED, more.prefix, NEVER_SAW), (MEMBER_PREFIXED, more.member_prefix, TRAINED_ON)):
        if prefix is not None:
            before = _prefix_of(prefix, tokenizer, context_of(model.config))
            forms[form] = [_behind(tokens, before, Tokens(tokenizer).beginning)]
            attack = "recall" if form == PREFIXED else "con_recall"
            notes.append(f"{attack}: each text also stands behind {len(before):,} tokens of {what}")
    if more.corpus is not None:
        counts = _counts(more.corpus, tokenizer, vocabulary_of(model))
        forms[SURPRISE] = [[_surprise(row, counts) for row in tokens]]
        notes.append(f"dc_pdd: how rare a token is was counted in {int(counts.sum()):,} tokens of the corpus")
    if more.neighbours:
        each = neighbours_of(tokens, more.neighbours, reference)
        forms[NEIGHBOURS] = [list(copies) for copies in zip(*each, strict=True)]
        notes.append(note(more.neighbours, reference is not None))
    return (_stacked(x, forms) if forms else x), notes


def _require_apart(texts: Texts, more: MoreForms) -> None:
    """Raise `UserError` where texts that are put before others, or counted, are audited themselves."""
    hint = "it is of texts that are not audited"
    audited = set(texts.texts)
    for name, others in (("prefix", more.prefix), ("member_prefix", more.member_prefix), ("corpus", more.corpus)):
        both = set() if others is None else audited & set(others.texts)
        require(not both, f"{name}: {len(both)} of its texts are among those that are audited", hint=hint)
        plain = others is None or (others.examples is None and others.tokens is None)
        require(plain, f"{name}: it is of texts, not of chats or tokens", hint="write them into a .txt file")
    if more.member_prefix is not None:
        without = "member_prefix: con_recall compares it with texts that the model never saw, and there are none"
        require(more.prefix is not None, without, hint='prefix = "never-seen.txt" names them')
        both = set(more.member_prefix.texts) & set(more.prefix.texts if more.prefix else ())
        require(
            not both, f"member_prefix: {len(both)} of its texts are in prefix too", hint="a text was trained on or not"
        )
    require(more.neighbours >= 0, f"neighbours: expected how many of each text, got {more.neighbours}")


def _prefix_of(prefix: Texts, tokenizer: Any, context: int | None) -> list[int]:
    """Return the tokens of a prefix, half of the context at most."""
    [tokens] = reading_of(Texts.of([" ".join(prefix.texts)]), tokenizer).rows
    return tokens[: max(1, (context or 2 * LONGEST) // 2)]


def _behind(tokens: Rows, before: list[int], beginning: int) -> Rows:
    """Return texts behind a prefix that is context: the same tokens are scored, after more."""
    context = [as_context(token) for token in before]
    return [[*context, *_first(row, before, beginning), *row[1:]] for row in tokens]


def _first(row: list[int], before: list[int], beginning: int) -> list[int]:
    """Return the first token of a text as context; nothing where it is the token of the beginning, and is there."""
    token = int(numbers(np.array(row[0])))
    return [] if token == before[0] == beginning else [as_context(token)]


def _counts(corpus: Texts, tokenizer: Any, vocabulary: int) -> np.ndarray:
    every = [np.array(row, dtype=np.int64) for row in reading_of(corpus, tokenizer).rows if row]
    return np.bincount(np.concatenate(every), minlength=vocabulary)


def _surprise(row: list[int], counts: np.ndarray) -> list[int]:
    """Return -log of the share of each token in a corpus, in `UNIT`: of those scored, at their first place; else 0."""
    total, seen, surprise = counts.sum() + len(counts), set[int](), [0] * len(row)
    for place, token in enumerate(row):
        if place and token >= 0 and token not in seen:
            seen.add(token)
            surprise[place] = max(1, round(float(np.log(total / (counts[token] + 1))) / UNIT))
    return surprise


def _stacked(x: np.ndarray, forms: dict[int, list[Rows]]) -> np.ndarray:
    """Return texts in all forms up to the last that is asked for, [texts, forms, longest]; others are filling."""
    own, lower = (x, x) if x.ndim == 2 else (x[:, OWN], x[:, LOWERCASE])
    rows = [row for each in forms.values() for form in each for row in form]
    longest = max(int(own.shape[1]), *map(len, rows))
    empty = np.full((len(own), longest), PADDING, dtype=np.int32)
    tables = [filled(own, longest), filled(lower, longest)]
    for form in range(PREFIXED, max(forms) + 1):
        tables += [filled(each, longest) for each in forms[form]] if form in forms else [empty]
    return np.stack(tables, axis=1)


def filled(rows: Sequence[Sequence[int]] | np.ndarray, longest: int) -> np.ndarray:
    """Return rows of token numbers as one array, filled up behind."""
    table = np.full((len(rows), longest), PADDING, dtype=np.int32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
