"""The tokenizer in a model's folder, used as it is: with the special tokens that it adds by itself.

A text that brings its beginning or its end with it, as templates of chats write them, has each once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.models.gguf_alone import explained, words_for
from quantmis.models.hugging_face import library, quiet

TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "tokenizer.model")


def tokenizer_at(place: str | Path) -> Any:
    """Return the tokenizer in a folder or a GGUF file, or of a hub id; `UserError` where there is none."""
    folder = Path(place)
    hint = "save it beside the model: tokenizer.save_pretrained(folder)"
    if folder.is_dir():
        there = any((folder / name).is_file() for name in TOKENIZERS)
        require(there, f"model.folder: {folder} holds no tokenizer", hint=hint)
    try:
        with quiet(), explained(place):
            where, words = words_for(place)
            return library().AutoTokenizer.from_pretrained(where, trust_remote_code=False, **words)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot read the tokenizer of {place}: {first}", hint=hint) from error


class Tokens:
    """Turn texts into token numbers, where a special token that a text brings with it is not added once more."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self._begin = _special(tokenizer, "bos_token", "cls_token")
        self._end = _special(tokenizer, "eos_token", "sep_token")

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text."""
        with quiet():
            numbers = self._tokenizer(list(texts), truncation=False, padding=False)["input_ids"]
        return [self.once(text, list(map(int, row))) for text, row in zip(texts, numbers, strict=True)]

    @property
    def end(self) -> str:
        """How the token of the end of a text is written, empty where there is none."""
        return self._end[0]

    @property
    def end_token(self) -> int:
        """The number of the token of the end of a text, -1 where there is none."""
        return self._end[1]

    @property
    def beginning(self) -> int:
        """The number of the token of the beginning of a text, -1 where there is none."""
        return self._begin[1]

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

    def once(self, text: str, row: list[int]) -> list[int]:
        """Return the tokens of a text without what the tokenizer added to what the text brings with it."""
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
