"""The turns of a chat in a row of a file: who speaks and what is said, or why the row holds none."""

import json
from collections.abc import Mapping
from typing import Any

ASSISTANT = "assistant"
SPEAKERS = {
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "assistant", "model"), ASSISTANT),
    **dict.fromkeys(("human", "user"), "user"),
    **{each: each for each in ("system", "tool")},
}
"""The roles of those who speak in files of ShareGPT."""

Turn = Mapping[str, Any]


class NoExampleError(Exception):
    """Say why a row of a file holds no example, as the notes count it."""


def worded(value: Any, why: str) -> str:
    """Return a value that is a string; `NoExampleError` that says why for any other."""
    if not isinstance(value, str):
        raise NoExampleError(why)
    return value


def turns_of(value: Any, column: str) -> tuple[Turn, ...]:
    """Return the turns of a chat, also one that is written as JSON; `NoExampleError` for what is none."""
    if isinstance(value, str) and is_list(value):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list | tuple) or not value:
        raise NoExampleError(f"without a chat in {column}")
    return tuple(_turn(each) for each in value)


def is_list(value: str) -> bool:
    """Say whether a string is a list of turns as JSON writes it."""
    return value.lstrip().startswith("[{")


def _turn(value: Any) -> Turn:
    if not isinstance(value, Mapping):
        raise NoExampleError("with a turn that is no object")
    turn = {str(name): part for name, part in value.items() if part is not None}
    speaker = turn.pop("from", None)
    role = SPEAKERS.get(str(speaker).lower()) if speaker is not None else turn.get("role")
    if not isinstance(role, str):
        raise NoExampleError("with a turn of nobody who is known")
    content = turn.pop("value", None) if speaker is not None else turn.get("content")
    return {**turn, "role": role, "content": _words(content, "tool_calls" in turn)}


def _words(content: Any, may_be_empty: bool) -> str:
    """Return the words of a turn, which may come in parts; `NoExampleError` for pictures and the like."""
    if isinstance(content, list):
        parts = [each.get("text") if isinstance(each, Mapping) else each for each in content]
        return "".join(worded(each, "with a turn of more than words") for each in parts)
    return "" if content is None and may_be_empty else worded(content, "with a turn without words")


def tools_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the tools that a row names, also as JSON, for the template to be told of."""
    tools = row.get("tools")
    if isinstance(tools, str) and tools.strip():
        try:
            tools = json.loads(tools)
        except (ValueError, RecursionError) as error:
            raise NoExampleError("with tools that are no JSON") from error
    return tuple(tools) if isinstance(tools, list) else ()
