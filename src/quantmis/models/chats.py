"""From texts and examples to the tokens that a model reads, those that are not scored as context.

Chats are written by the template of the tokenizer, as SFTTrainer of the library TRL writes them. Of a prompt with its
completion, what the template writes before the completion is context; of a chat that nothing divides, all but the turns
of the assistant, from behind the words that ask for a turn to the token that ends it. A template that marks them itself
(`{% generation %}`) is asked. Strings are put one behind the other and closed by the token of the end, where the
tokenizer has one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quantmis.data.examples import ALL, Example, Turn, is_scored
from quantmis.data.texts import Texts
from quantmis.data.tokens import as_context
from quantmis.errors import UserError, require
from quantmis.models.hugging_face import quiet
from quantmis.models.tokenizers import Tokens

MARKED = re.compile(r"\{%-?\s*generation\b")

NO_TEMPLATE = (
    'save the template that training used with the tokenizer: tokenizer.chat_template = "..."; or write texts as '
    "training saw them into a column text"
)
UNTOLD = (
    'mark what the assistant says by {% generation %} in the template, as TRL needs it too; or loss_on = "all", where '
    "training scored every token"
)

SLOW = "the tokenizer does not say where its tokens stand in a text, and so not which of them are of a completion"

Span = tuple[int, int]


@dataclass(frozen=True)
class Written:
    """Hold an example as a text, the parts of it that are scored, and whether the text is whole as it is.

    Where it is not, the tokenizer adds its special tokens.
    """

    text: str
    scored: tuple[Span, ...]
    whole: bool


@dataclass(frozen=True)
class Tokenized:
    """Hold the tokens of an example, those of context as such, and where each stands in its text."""

    text: str
    row: list[int]
    places: list[Span]

    def scored_text(self, limit: int) -> str:
        """Return what the scored ones among the first `limit` tokens stand for."""
        kept, end = list[str](), 0
        for place, (token, (start, stop)) in enumerate(zip(self.row[:limit], self.places, strict=False)):
            follows = place > 0 and self.row[place - 1] >= 0
            if token >= 0:
                kept.append(self.text[end if follows else max(start, end) : max(stop, end)])
            end = max(stop, end)
        return "".join(kept)


class Reading:
    """Hold the tokens of texts and examples, `rows`, in their order; `notes` on special tokens and templates."""

    def __init__(self, texts: Texts, tokenizer: Any, loss_on: str | None):
        self._texts = texts.texts
        self._examples = texts.examples or (None,) * len(texts)
        self._tokens, self._chats = Tokens(tokenizer), _Examples(tokenizer, loss_on, texts.names)
        self._read = self._all(self._texts, self._examples)
        self.rows = [each if isinstance(each, list) else each.row for each in self._read]
        plain = [text for text, example in zip(self._texts, self._examples, strict=True) if example is None]
        self.notes = [*self._tokens.notes(plain), *self._chats.notes(self._examples)]

    def _all(self, texts: Sequence[str], examples: Sequence[Example | None]) -> list[list[int] | Tokenized]:
        without = [text for text, each in zip(texts, examples, strict=True) if each is None]
        plain = iter(self._tokens(without) if without else [])
        return [next(plain) if each is None else self._chats(each, row) for row, each in enumerate(examples)]

    def lower(self) -> list[list[int]] | None:
        """Return the tokens in lower case, None where no text has a capital that is scored."""
        texts = [self._tokens.lower(text) for text in self._texts]
        examples = [None if each is None else self._chats.lower(each) for each in self._examples]
        pairs = zip(self._texts, self._examples, texts, examples, strict=True)
        if all(example == lower if example else text == other for text, example, other, lower in pairs):
            return None
        return [each if isinstance(each, list) else each.row for each in self._all(texts, examples)]

    def scored_text(self, row: int, limit: int) -> str:
        """Return what of a text is scored; of an example, what its scored tokens among the first `limit` stand for."""
        read = self._read[row]
        return self._texts[row] if isinstance(read, list) else read.scored_text(limit)


def reading_of(texts: Texts, tokenizer: Any, loss_on: str | None = None) -> Reading:
    """Return the tokens of `texts`; `UserError` for chats without a template, or that the template cannot write."""
    return Reading(texts, tokenizer, loss_on)


class _Examples:
    """Turn examples into tokens; `names` are what errors call them."""

    def __init__(self, tokenizer: Any, loss_on: str | None, names: Sequence[str]):
        self._tokenizer, self._loss_on, self._names = tokenizer, loss_on, names
        self._template = getattr(tokenizer, "chat_template", None)
        self._tokens = Tokens(tokenizer)

    def __call__(self, example: Example, row: int) -> Tokenized:
        usual, name = self._usual(example), self._names[row]
        if self._is_marked(usual):
            return self._marked(usual, name)
        return self._tokenized(self._written(usual, name))

    def lower(self, example: Example) -> Example:
        """Return the example with what is scored in lower case."""
        return example.lower(self._loss_on or example.loss_on)

    def notes(self, examples: Sequence[Example | None]) -> list[str]:
        """Return a sentence on instructions that were written without a template."""
        count = sum(each is not None and each.is_chat and not self._usual(each).is_chat for each in examples)
        words = "instructions are written as the authors of Alpaca wrote them: the tokenizer has no chat template"
        return [f"{count:,} {words}"] if count else []

    def _usual(self, example: Example) -> Example:
        return example if self._template is not None else example.without_template()

    def _written(self, example: Example, name: str) -> Written:
        every = (self._loss_on or example.loss_on) == ALL
        if isinstance(example.prompt, str) and isinstance(example.completion, str):
            text = example.prompt + example.completion
            text += "" if text.endswith(self._tokens.end) else self._tokens.end
            return Written(text, ((0 if every else len(example.prompt), len(text)),), False)
        require(self._template is not None, f"{name} is a chat, and the tokenizer has no chat template", NO_TEMPLATE)
        before, after = tuple(example.prompt), tuple(example.completion)
        assert not isinstance(before, str)  # noqa: S101 for the type checker
        turns: tuple[Turn, ...] = (*before, *after)  # pyright: ignore[reportAssignmentType]
        text = self._text(turns, example, name)
        if every:
            return Written(text, ((0, len(text)),), True)
        places = [len(before)] if before else [at for at, turn in enumerate(turns) if is_scored(turn)]
        ends = [len(turns)] if before else [at + 1 for at in places]
        pairs = zip(places, ends, strict=True)
        return Written(text, tuple(self._span(text, turns, at, end, example, name) for at, end in pairs), True)

    def _span(self, text: str, turns: tuple[Turn, ...], at: int, end: int, example: Example, name: str) -> Span:
        """Return where the turns `at` to `end` stand in a text; `UserError` where the template does not tell."""
        before = self._text(turns[:at], example, name, asks=True) if at else ""
        whole = text if end == len(turns) else self._text(turns[:end], example, name)
        tells = text.startswith(before) and text.startswith(whole) and len(before) <= len(whole)
        message = f"{name}: the chat template writes earlier turns otherwise when later ones follow: it does not tell "
        require(tells, f"{message}what the assistant says", hint=UNTOLD)
        return len(before), len(whole)

    def _text(self, turns: tuple[Turn, ...], example: Example, name: str, asks: bool = False) -> str:
        return str(self._applied(turns, example, name, tokenize=False, add_generation_prompt=asks))

    def _is_marked(self, example: Example) -> bool:
        """Say whether the template says itself what of a chat is scored."""
        every = (self._loss_on or example.loss_on) == ALL
        return not every and not example.prompt and example.is_chat and bool(MARKED.search(str(self._template)))

    def _marked(self, example: Example, name: str) -> Tokenized:
        turns: Any = example.completion
        asked = {"tokenize": True, "return_dict": True, "return_assistant_tokens_mask": True}
        found = self._applied(turns, example, name, **asked, tokenizer_kwargs={"return_offsets_mapping": True})
        pairs = zip(found["input_ids"], found["assistant_masks"], strict=True)
        row = [int(token) if scored else as_context(int(token)) for token, scored in pairs]
        return Tokenized(self._text(turns, example, name), row, found["offset_mapping"])

    def _applied(self, turns: tuple[Turn, ...], example: Example, name: str, **asked: Any) -> Any:
        from jinja2 import TemplateError

        try:
            with quiet():
                return self._tokenizer.apply_chat_template(list(turns), tools=list(example.tools) or None, **asked)
        except (TemplateError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            hint = "its turns must be those that the template knows, in the order that it asks for"
            raise UserError(f"the chat template cannot write {name}: {first}", hint=hint) from error

    def _tokenized(self, written: Written) -> Tokenized:
        """Return the tokens of a text, those outside of what is scored as context."""
        require(getattr(self._tokenizer, "is_fast", True), SLOW, hint="save it with its tokenizer.json")
        with quiet():
            found = self._tokenizer(written.text, add_special_tokens=not written.whole, return_offsets_mapping=True)
        tokens, places = [int(token) for token in found["input_ids"]], list[Span](found["offset_mapping"])
        once = tokens if written.whole else self._tokens.once(written.text, tokens)
        start = 0 if once == tokens[: len(once)] else 1
        places = places[start : start + len(once)]
        scored = _scored(places, written)
        row = [token if is_one else as_context(token) for token, is_one in zip(once, scored, strict=True)]
        return Tokenized(written.text, row, places)


def _scored(places: Sequence[Span], written: Written) -> list[bool]:
    """Return which tokens are scored; one without letters, as a tokenizer adds them, as the one before it."""
    if written.scored == ((0, len(written.text)),):
        return [True] * len(places)
    scored = list[bool]()
    for start, end in places:
        inside = any(start < last and end > first for first, last in written.scored)
        scored.append(inside if end > start else bool(scored) and scored[-1])
    return scored
