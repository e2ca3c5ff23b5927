"""Documents that came as tokens: they are read as these, and decoded for what attacks make of their letters."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from quantmis.data.examples import ALL
from quantmis.data.texts import Texts
from quantmis.data.tokens import as_context
from quantmis.models.hugging_face import quiet


class PackedReading:
    """Hold the tokens of documents, `rows`, as a `quantmis.models.chats.Reading` holds those of texts."""

    def __init__(self, texts: Texts, tokenizer: Any, loss_on: str | None):
        every = loss_on == ALL
        self.rows = [[_number(token) if every else token for token in row] for row in texts.tokens or ()]
        self._tokenizer = tokenizer
        self.notes = list[str]()

    def lower(self) -> list[list[int]] | None:
        """Return the tokens of what is scored in lower case, None where no document has a capital that is."""
        lowered = [self._lower(row) for row in self.rows]
        return None if all(row is own for row, own in zip(lowered, self.rows, strict=True)) else lowered

    def scored_text(self, row: int, limit: int) -> str:
        """Return what the scored ones among the first `limit` tokens of a document stand for."""
        return self._decoded([token for token in self.rows[row][:limit] if token >= 0])

    def _lower(self, row: list[int]) -> list[int]:
        """Return a document with runs of scored tokens in lower case, or the row itself where that is what it is."""
        runs = [(scored, list(run)) for scored, run in groupby(row, key=lambda token: token >= 0)]
        texts = [self._decoded(run) if scored else "" for scored, run in runs]
        if all(text == text.lower() for text in texts):
            return row
        with quiet():
            lower = [self._tokenizer(text.lower(), add_special_tokens=False)["input_ids"] for text in texts]
        parts = [
            list(map(int, new)) if scored and text != text.lower() else run
            for (scored, run), text, new in zip(runs, texts, lower, strict=True)
        ]
        return [token for part in parts for token in part]

    def _decoded(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))


def decoded(texts: Texts, tokenizer: Any) -> Texts:
    """Return documents of tokens with what they stand for as their texts."""
    rows = [[_number(token) for token in row] for row in texts.tokens or ()]
    return replace(texts, texts=tuple(str(tokenizer.decode(row, clean_up_tokenization_spaces=False)) for row in rows))


def _number(token: int) -> int:
    return token if token >= 0 else as_context(token)
