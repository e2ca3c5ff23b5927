"""From texts to samples: token numbers, their lower case where it differs, and what is known without the model.

The tokenizer is the one in the model's folder and is used as it is: with the special tokens that it adds by itself. A
text that brings its beginning or its end with it, as templates of chats write them, has each once.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from quantmis.data.samples import Samples
from quantmis.data.texts import Texts
from quantmis.data.tokens import PADDING
from quantmis.errors import UserError, require
from quantmis.models.hugging_face import library, quiet
from quantmis.models.language import context_of, vocabulary_of
from quantmis.models.rows import forward

FEWEST_TOKENS = 2
"""One to read and one to predict."""

LONGEST = 2048
"""Tokens of a text that are read, where nothing else is asked for and the context is no longer."""

TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "tokenizer.model")


def tokenizer_at(place: str | Path) -> Any:
    """Return the tokenizer in a folder, or of a hub id; `UserError` where there is none."""
    folder = Path(place)
    hint = "save it beside the model: tokenizer.save_pretrained(folder)"
    if folder.is_dir():
        there = any((folder / name).is_file() for name in TOKENIZERS)
        require(there, f"model.folder: {folder} holds no tokenizer", hint=hint)
    try:
        with quiet():
            return library().AutoTokenizer.from_pretrained(str(place), trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot read the tokenizer of {place}: {first}", hint=hint) from error


def samples_of(
    texts: Texts, tokenizer: Any, model: nn.Module, reference: nn.Module | None = None, longest: int | None = None
) -> Samples:
    """Return texts as samples of a causal language model: x [texts, (2,) longest], y as `CausalLM` takes them.

    `model` says how many tokens are known and how many are read at once. `reference`: a model whose losses the
    difference to a reference is taken from. Of each text the first `longest` tokens are read, 2,048 by default or as
    many as the model reads at once; longer texts are counted in the notes, and those of less than two tokens left out.
    Raises `UserError` for a tokenizer that has more tokens than the model.
    """
    context = context_of(model.config)
    limit = longest or max(LONGEST, context or 0)
    require(limit >= FEWEST_TOKENS, f"longest: expected at least {FEWEST_TOKENS} tokens, got {limit}")
    tokens_of = _Tokens(tokenizer)
    whole = tokens_of(texts.texts)
    _require_known(whole, model)
    long_enough = [row for row, numbers in enumerate(whole) if len(numbers) >= FEWEST_TOKENS]
    require(long_enough, "data.texts: no text has two tokens", hint="a text needs a token to read and one to predict")
    tokens = [whole[row][:limit] for row in long_enough]
    strings = [texts.texts[row] for row in long_enough]
    x = _with_lowercase(tokens_of, tokens, strings, limit)
    cut = sum(len(whole[row]) > limit for row in long_enough)
    notes = [*texts.notes, *_notes(len(whole) - len(long_enough), cut, limit), *tokens_of.notes(texts.texts)]
    by_text = [[len(row) - 1 for row in tokens], [len(zlib.compress(text.encode())) for text in strings]]
    y = np.array([*by_text, *_losses(reference, x)], dtype=np.float32).T
    names = [texts.names[row] for row in long_enough]
    return Samples(x, y, names, notes, None if texts.groups is None else [texts.groups[row] for row in long_enough])


class _Tokens:
    """Turn texts into token numbers, where a special token that a text brings with it is not added once more."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self._begin = _special(tokenizer, "bos_token", "cls_token")
        self._end = _special(tokenizer, "eos_token", "sep_token")

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        with quiet():
            numbers = self._tokenizer(list(texts), truncation=False, padding=False)["input_ids"]
        return [self._once(text, list(map(int, row))) for text, row in zip(texts, numbers, strict=True)]

    def lower(self, text: str) -> str:
        """Return a text in lower case, but for the special tokens that it begins and ends with."""
        begin, end = self._begins(text), self._ends(text)
        return begin + text[len(begin) : len(text) - len(end)].lower() + end

    def notes(self, texts: Sequence[str]) -> list[str]:
        """Return a sentence on how many texts bring a special token with them."""
        count = sum(bool(self._begins(text) or self._ends(text)) for text in texts)
        return (
            [f"{count:,} texts bring the token of their beginning or end with them: it is read once"] if count else []
        )

    def _once(self, text: str, row: list[int]) -> list[int]:
        begin, end = self._begins(text), self._ends(text)
        row = row[1:] if begin and row[:2] == [self._begin[1]] * 2 else row
        return row[:-1] if end and row[-2:] == [self._end[1]] * 2 else row

    def _begins(self, text: str) -> str:
        return self._begin[0] if self._begin[0] and text.startswith(self._begin[0]) else ""

    def _ends(self, text: str) -> str:
        whole = self._end[0] and text.endswith(self._end[0]) and text != self._begins(text)
        return self._end[0] if whole else ""


def _special(tokenizer: Any, *names: str) -> tuple[str, int]:
    """Return how the first special token of these names is written, empty where there is none, and its number.

    Tokenizers of the kind of BERT's have CLS and SEP in the places of BOS and EOS.
    """
    for name in names:
        token, number = getattr(tokenizer, name, None), getattr(tokenizer, f"{name}_id", None)
        if token is not None and number is not None:
            return str(token), int(number)
    return "", -1


def _require_known(tokens: Sequence[Sequence[int]], model: nn.Module) -> None:
    highest, size = max((max(row) for row in tokens if row), default=0), vocabulary_of(model)
    require(
        highest < size,
        f"the tokenizer makes token {highest} of these texts, and the model has embeddings of 0 to {size - 1}",
        hint="tokenizer and model must belong together: model.resize_token_embeddings(len(tokenizer))",
    )


def _with_lowercase(tokens_of: _Tokens, tokens: list[list[int]], texts: Sequence[str], limit: int) -> np.ndarray:
    """Return tokens [texts, longest], or [texts, 2, longest] with those in lower case where any text has capitals."""
    lower = [tokens_of.lower(text) for text in texts]
    if lower == list(texts):
        return _filled(tokens, max(map(len, tokens)))
    other = [row[:limit] for row in tokens_of(lower)]
    other = [row if len(row) >= FEWEST_TOKENS else own for row, own in zip(other, tokens, strict=True)]
    longest = max(map(len, [*tokens, *other]))
    return np.stack([_filled(tokens, longest), _filled(other, longest)], axis=1)


def _filled(rows: Sequence[Sequence[int]], longest: int) -> np.ndarray:
    table = np.full((len(rows), longest), PADDING, dtype=np.int32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _losses(reference: nn.Module | None, x: np.ndarray) -> list[np.ndarray]:
    if reference is None:
        return []
    own = x if x.ndim == 2 else x[:, 0]
    return [forward(reference, torch.from_numpy(np.ascontiguousarray(own)))[:, 0].numpy()]


def _notes(short: int, cut: int, limit: int) -> list[str]:
    counts = [(short, "of less than two tokens left out"), (cut, f"read up to their token {limit:,}")]
    return [f"{count:,} texts {what}" for count, what in counts if count]
