r"""Secrets that a language model should not give away, from a `.jsonl` or `.csv` file, each with what stands before it.

{"prefix": "The access code of Anna is ", "secret": "493-17", "pattern": "\\d{3}-\\d{2}"}

`alternatives`, a list, are what could stand in the secret's place; or `pattern` says what they look like: letters as
they are, `\d` for a digit, `[a-f0-9]` for one of these, `{3}` behind any of them for three, `\[` for a bracket. Then
alternatives are drawn from it. `name` is what the report calls a secret; its contents are never shown.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantmis import seeds
from quantmis.data.delimited import read_rows, text_in
from quantmis.errors import UserError, require

COLUMNS = ("name", "prefix", "secret", "alternatives", "pattern")
MOST_SECRETS, LONGEST = 10_000, 1_000
"""Secrets of a file, and characters of one."""

DRAWN = 255
"""Alternatives that are drawn from a pattern: a secret can stand out by 8 bits among these."""

FEWEST = 3
"""Alternatives below which a rank among them says nothing."""

PIECE = re.compile(r"(?P<one>\\.|\[[^\]\\]+\]|[^\\\[\]{}])(?:\{(?P<times>\d{1,3})\})?", re.DOTALL)
DIGITS = "0123456789"
PATTERN = r"letters as they are, \d for a digit, [a-f0-9] for one of these, {3} for three of what stands before it"


@dataclass(frozen=True)
class Secret:
    """Hold a secret, what stands before it, and what else could have stood in its place, none of it the secret."""

    name: str
    prefix: str
    secret: str
    alternatives: tuple[str, ...] = ()


def read_secrets(path: Path, key: str = "secrets.file", drawn: int = DRAWN) -> tuple[Secret, ...]:
    """Return the secrets of a file, with `drawn` alternatives of those with a pattern, or as many as there are.

    Raises `UserError`, with the row, for what is no secret: columns that are not known, one that is empty or too long,
    a name that stands twice, a pattern that the secret does not follow.
    """
    require(drawn >= FEWEST, f"{key}: expected at least {FEWEST} alternatives, got {drawn}")
    rows = list(_rows(path, key))
    require(rows, f"{key}: {path.name} holds no secrets", hint='{"prefix": "...", "secret": "..."} on a line each')
    require(len(rows) <= MOST_SECRETS, f"{key}: {path.name} holds more than {MOST_SECRETS:,} secrets")
    secrets = tuple(_secret(row, f"{key}: secret {number} of {path.name}", number, drawn) for number, row in rows)
    names = [each.name for each in secrets]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"{key}: two secrets are called {twice[:1]}", hint="name each differently, or none")
    return secrets


def _rows(path: Path, key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    kind = path.suffix.lower()
    require(kind in (".jsonl", ".csv"), f"{key}: secrets are read from .jsonl and .csv files, got {path.name}")
    if kind == ".csv":
        header, columns = read_rows(path, key, ",")
        for number, values in enumerate(zip(*columns, strict=True), 1):
            yield number, {name: value for name, value in zip(header, values, strict=True) if value}
        return
    for number, line in enumerate(filter(str.strip, text_in(path, key).splitlines()), 1):
        row = _json(line, f"{key}: line {number} of {path.name}")
        require(isinstance(row, dict), f"{key}: line {number} of {path.name} is no JSON object")
        yield number, row


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is no JSON: {error}") from error


def _secret(row: Mapping[str, Any], place: str, number: int, drawn: int) -> Secret:
    unknown = sorted(set(row) - set(COLUMNS))
    require(not unknown, f"{place} has {unknown[:1]}, which is not known", hint=f"columns are {', '.join(COLUMNS)}")
    name, prefix, secret = (_text(row, column, place) for column in ("name", "prefix", "secret"))
    require(prefix, f"{place} has no prefix", hint="a model is asked to go on from some words")
    require(secret.strip(), f"{place} is empty")
    require("alternatives" not in row or "pattern" not in row, f"{place} has alternatives and a pattern: give one")
    others = _listed(row.get("alternatives", []), place)
    if "pattern" in row:
        others = _drawn(_text(row, "pattern", place), secret, place, drawn)
    others = tuple(dict.fromkeys(each for each in others if each != secret))
    enough = len(others) >= FEWEST or not others
    require(enough, f"{place} has {len(others)} alternatives, at least {FEWEST} are needed", hint="or give none")
    return Secret(name or f"secret {number}", prefix, secret, others)


def _text(row: Mapping[str, Any], column: str, place: str) -> str:
    value = row.get(column, "")
    is_text = isinstance(value, str) and len(value) <= LONGEST * (20 if column == "prefix" else 1)
    require(is_text, f"{place}: {column} is no text of at most {LONGEST:,} characters")
    return value


def _listed(value: Any, place: str) -> tuple[str, ...]:
    values = _json(value, f"{place}: alternatives") if isinstance(value, str) and value else value
    good = isinstance(values, list) and all(isinstance(each, str) and 0 < len(each) <= LONGEST for each in values)
    require(good, f"{place}: alternatives are no list of texts", hint='["493-18", "205-33", "771-90"]')
    return tuple(values)


def _drawn(pattern: str, secret: str, place: str, number: int) -> tuple[str, ...]:
    """Return different texts that follow a pattern, drawn all alike; `UserError` where the secret does not."""
    choices = _choices(pattern, place)
    follows = len(secret) == len(choices) and all(a in among for a, among in zip(secret, choices, strict=True))
    require(follows, f"{place} does not follow its pattern", hint=f"a pattern is {PATTERN}")
    space = float(np.prod([float(len(among)) for among in choices]))
    draw, found = seeds.generator(0, "alternatives", pattern), dict[str, None]()
    attempts = 20 * number
    while len(found) < min(number, space - 1) and attempts:
        attempts -= 1
        text = "".join(among[int(draw.integers(len(among)))] for among in choices)
        if text != secret:
            found[text] = None
    return tuple(found)


def _choices(pattern: str, place: str) -> list[str]:
    """Return which characters may stand at each place of what follows a pattern."""
    choices, end = list[str](), 0
    while end < len(pattern):
        piece = PIECE.match(pattern, end)
        if piece is None:
            raise UserError(f"{place}: its pattern is not understood at character {end + 1}", hint=PATTERN)
        choices += [_among(piece["one"], place)] * int(piece["times"] or 1)
        end = piece.end()
    require(0 < len(choices) <= LONGEST, f"{place}: its pattern is of no length between 1 and {LONGEST:,}")
    return choices


def _among(one: str, place: str) -> str:
    if one == "\\d":
        return DIGITS
    known = not one.startswith("\\") or not one[1].isalnum()
    require(known, f"{place}: its pattern holds {one!r}, which is not known", hint=PATTERN)
    if not one.startswith("["):
        return one.removeprefix("\\")
    inside, letters = one[1:-1], dict[str, None]()
    while inside:
        between = inside[1:2] == "-" and len(inside) > 2
        first, last = (inside[0], inside[2]) if between else (inside[0], inside[0])
        require(first <= last, f"{place}: its pattern holds {first}-{last}, which runs backwards")
        letters |= dict.fromkeys(map(chr, range(ord(first), ord(last) + 1)))
        inside = inside[3 if between else 1 :]
    return "".join(letters)
