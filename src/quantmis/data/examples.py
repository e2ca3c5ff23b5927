"""Examples to fine-tune on as people keep them: chats, instructions, prompts with completions, preference pairs.

The columns of a file say which of these it holds. An example is what stands before, the prompt, and what is to be
learnt, the completion: two strings, or turns of a chat, which the template of a tokenizer writes as one text
(`quantmis.models.chats`).

`loss_on` says which tokens training scored, and so which are scored here: those of the completion, or all. Where nobody
says, it is what SFTTrainer of the library TRL does by default: the completion of a prompt, but all turns of a chat.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quantmis.data.packed import BESIDE, IDS, PACKED
from quantmis.data.turns import ASSISTANT, NoExampleError, Turn, is_list, tools_of, turns_of, worded
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

COMPLETION, ALL = "completion", "all"
LOSS_ON = (COMPLETION, ALL)

Part = str | tuple[Turn, ...]

ALPACA = (
    "Below is an instruction that describes a task{}. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n{}### Response:"
)
"""How the authors of Alpaca wrote an instruction, for tokenizers that have no template of chats."""

WITH_INPUT = ", paired with an input that provides further context"


@dataclass(frozen=True)
class Example:
    """Hold a prompt and its completion: strings, or turns of a chat, each a mapping with "role" and "content".

    A chat that nothing divides is all completion. `tools` are what the template is told of. `plain`: the prompt as a
    string, where the tokenizer has no template; `loss_on`: which tokens are scored unless somebody says otherwise.
    """

    prompt: Part
    completion: Part
    loss_on: str = COMPLETION
    tools: tuple[Any, ...] = ()
    plain: str | None = None

    @property
    def is_chat(self) -> bool:
        """Whether a template is needed to write it."""
        return not isinstance(self.completion, str)

    def without_template(self) -> "Example":
        """Return the example as two strings, where there is a usual way to write it so; else as it is."""
        if self.plain is None:
            return self
        answer = "".join(turn["content"] for turn in self.completion if isinstance(turn, Mapping))
        return replace(self, prompt=self.plain, completion=answer)

    def lower(self, loss_on: str) -> "Example":
        """Return the example with what is scored in lower case, tokens of templates aside."""
        prompt = _lower(self.prompt, every=True) if loss_on == ALL else self.prompt
        plain = self.plain.lower() if loss_on == ALL and self.plain is not None else self.plain
        return replace(self, prompt=prompt, completion=_lower(self.completion, loss_on == ALL), plain=plain)

    def strings(self) -> list[str]:
        """Return every string in it."""
        parts = (self.prompt, self.completion)
        return [each for part in parts for each in ([part] if isinstance(part, str) else map(_content, part))]

    def __str__(self) -> str:
        """Return what tells it from other examples, as a string."""
        return json.dumps([self.prompt, self.completion, self.tools], ensure_ascii=False, sort_keys=True, default=str)


def is_scored(turn: Turn) -> bool:
    """Say whether a turn is one that a model learns to take."""
    return turn["role"] == ASSISTANT


def _lower(part: Part, every: bool) -> Part:
    if isinstance(part, str):
        return part.lower()
    return tuple({**turn, "content": _content(turn).lower()} if every or is_scored(turn) else turn for turn in part)


def _content(turn: Turn) -> str:
    return str(turn["content"])


@dataclass(frozen=True)
class Form:
    """Say what a file holds whose columns are `needs` and, where they are there, `takes`.

    `column` is what users name it by where a file has several forms; `read` makes an example of a row, or a string.
    """

    title: str
    column: str
    needs: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Example | str]
    takes: tuple[str, ...] = ()

    def columns(self, names: Sequence[str]) -> list[str]:
        """Return the columns that are read of those that a file has."""
        return [*self.needs, *(name for name in self.takes if name in names)]


def form_of(names: Sequence[str], column: str | None, key: str, file: str) -> Form:
    """Return the form of a file with columns `names`, of which a user may have named one.

    Raises `UserError` for a column that is not there, for columns of no form and for those of several.
    """
    if column is not None:
        require(column in names, f"{key}: {file} has no column {column!r}", hint=lambda: suggestion(column, names))
        return next(
            (each for each in (*FORMS, REJECTED) if each.column == column and _fits(each, names)), _text(column)
        )
    fitting = [each for each in FORMS if _fits(each, names)]
    if not fitting:
        raise UserError(f"{key}: {file} has no column 'text' and those of no chats: {_shown(names)}", hint=FORMS_HINT)
    several = ", ".join(f"{each.title} ({', '.join(each.needs)})" for each in fitting)
    hint = f'say what the model was trained on: column = "{fitting[-1].column}", or another of them'
    require(len(fitting) == 1, f"{key}: {file} holds several things that may be its texts: {several}", hint=hint)
    return fitting[0]


def _fits(form: Form, names: Sequence[str]) -> bool:
    return all(name in names for name in form.needs)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) or "none"


def _text(column: str) -> Form:
    return Form("texts" if column == "text" else f"texts of the column {column}", column, (column,), _string(column))


def _string(column: str) -> Callable[[Mapping[str, Any]], str]:
    def read(row: Mapping[str, Any]) -> str:
        return worded(row.get(column), "without a text in that column")

    return read


def _messages(row: Mapping[str, Any]) -> Example:
    return Example((), turns_of(row.get("messages"), "messages"), ALL, tools_of(row))


def _conversations(row: Mapping[str, Any]) -> Example:
    said = turns_of(row.get("conversations"), "conversations")
    system = row.get("system")
    before = ({"role": "system", "content": system},) if isinstance(system, str) and system.strip() else ()
    return Example((), (*before, *said), ALL, tools_of(row))


def _completion(row: Mapping[str, Any]) -> Example:
    return _divided(row.get("prompt"), row.get("completion"), tools_of(row))


def _divided(prompt: Any, completion: Any, tools: tuple[Any, ...] = ()) -> Example:
    """Return a prompt with its completion, both strings or both turns."""
    if isinstance(prompt, str) and isinstance(completion, str) and not is_list(completion):
        if not completion.strip():
            raise NoExampleError("with an empty completion")
        return Example(prompt, completion)
    before = ({"role": "user", "content": prompt},) if _is_said(prompt) else turns_of(prompt, "prompt")
    after = (
        ({"role": ASSISTANT, "content": completion},) if _is_said(completion) else turns_of(completion, "completion")
    )
    return Example(before, after, COMPLETION, tools)


def _is_said(value: Any) -> bool:
    return isinstance(value, str) and not is_list(value)


def _instruction(row: Mapping[str, Any]) -> Example:
    why = "without an instruction and an output"
    asked, answer = (worded(row.get(name), why) for name in ("instruction", "output"))
    given = row.get("input")
    given = given if isinstance(given, str) and given.strip() else ""
    if not answer.strip():
        raise NoExampleError("with an empty output")
    plain = ALPACA.format(WITH_INPUT if given else "", asked, f"### Input:\n{given}\n\n" if given else "")
    turns = ({"role": "user", "content": f"{asked}\n\n{given}" if given else asked},)
    return Example(turns, ({"role": ASSISTANT, "content": answer},), COMPLETION, (), plain)


def _chosen(row: Mapping[str, Any]) -> Example:
    return _preferred(row, "chosen", "rejected")


def _rejected(row: Mapping[str, Any]) -> Example:
    return _preferred(row, "rejected", "chosen")


def _preferred(row: Mapping[str, Any], column: str, other: str) -> Example:
    """Return one answer of a pair; its prompt is the column `prompt`, or what both answers begin with."""
    one, two = (_said(row.get(name), name) for name in (column, other))
    if row.get("prompt") is not None and not _repeats(row["prompt"], one):
        return _divided(row["prompt"], one, tools_of(row))
    if isinstance(one, str) != isinstance(two, str):
        raise NoExampleError("with a pair of a chat and a text")
    at = _shared(one, two)
    if not one[at:]:
        raise NoExampleError("with a pair of equal answers")
    return Example(one[:at], one[at:], COMPLETION, tools_of(row))


def _said(value: Any, column: str) -> Part:
    return value if _is_said(value) else turns_of(value, column)


def _repeats(prompt: Any, whole: Part) -> bool:
    """Say whether an answer that is a chat begins with its prompt, as in files that keep both."""
    if isinstance(whole, str):
        return False
    if _is_said(prompt):
        return prompt.strip() in [_content(turn).strip() for turn in whole[:-1]]
    before = turns_of(prompt, "prompt")
    return whole[: len(before)] == before


def _shared(one: Part, two: Part) -> int:
    """Return how much two answers begin with in common: whole turns, or whole words."""
    pairs = enumerate(zip(one, two, strict=False))
    at = next((place for place, (mine, theirs) in pairs if mine != theirs), min(len(one), len(two)))
    while isinstance(one, str) and 0 < at < len(one) and one[at - 1].isalnum() and one[at].isalnum():
        at -= 1
    return at - 1 if isinstance(one, str) and at and one[at - 1] == " " else at


def _packed(row: Mapping[str, Any]) -> str:
    raise NoExampleError("of packed tokens, which are several documents")  # `quantmis.data.packed` reads them


FORMS = (
    Form("chats", "messages", ("messages",), _messages, ("tools",)),
    Form("chats", "conversations", ("conversations",), _conversations, ("system", "tools")),
    Form("prompts with completions", "completion", ("prompt", "completion"), _completion, ("tools",)),
    Form("instructions", "output", ("instruction", "output"), _instruction, ("input",)),
    Form("preferred answers", "chosen", ("chosen", "rejected"), _chosen, ("prompt", "tools")),
    Form(PACKED, IDS, (IDS,), _packed, BESIDE),
    _text("text"),
)
REJECTED = Form("rejected answers", "rejected", ("chosen", "rejected"), _rejected, ("prompt", "tools"))
FORMS_HINT = (
    "known are text; messages; conversations; prompt and completion; instruction and output; chosen and rejected; "
    "input_ids, of packed tokens; "
    'any other column by its name: column = "body"'
)
