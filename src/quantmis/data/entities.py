r"""Entities in texts that a model was trained on: names, numbers, addresses, by patterns of a TOML file.

phone = '\b\d{3}-\d{4}\b'          # a regular expression of Python
name = ["Anna Lind", "Paul Reyes"]  # or words, as they stand

Each that a member holds is a secret: what stands before it in its text is the prefix, and the alternatives are other
entities of its kind from all the texts, those of like length first, so that a model which knows no more of this
member than of the others ranks it anywhere among them. What an entity says is never shown.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantmis import seeds
from quantmis.data.delimited import text_in
from quantmis.data.secrets import DRAWN, FEWEST, LONGEST, Secret
from quantmis.errors import UserError, require

AT_MOST = 100
"""Entities of a kind that a model is asked for, where nothing is said: each version reads all alternatives of each."""

EXAMPLE = r"phone = '\b\d{3}-\d{4}\b', or name = [\"Anna Lind\", \"Paul Reyes\"]"


@dataclass(frozen=True)
class Entity:
    """Hold an entity of a `kind` in the text of number `row`: what it says, and where it begins."""

    kind: str
    row: int
    says: str
    start: int


def read_patterns(path: Path, key: str = "secrets.entities") -> dict[str, re.Pattern[str]]:
    """Return the patterns of a file by the kind that they find; `UserError` for what is none."""
    try:
        content = tomllib.loads(text_in(path, key))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{key}: {path.name} is no TOML: {error}", hint=EXAMPLE) from error
    require(content, f"{key}: {path.name} names no kind of entity", hint=EXAMPLE)
    return {kind: _pattern(kind, value, f"{key}: {kind} of {path.name}") for kind, value in content.items()}


def _pattern(kind: str, value: object, place: str) -> re.Pattern[str]:
    words = value if isinstance(value, list) else None
    good = bool(words) and all(isinstance(each, str) and each.strip() for each in words or ())
    require(isinstance(value, str) or good, f"{place} is no pattern and no list of words", hint=EXAMPLE)
    longest_first = sorted(map(str, words or ()), key=len, reverse=True)
    spelled = rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)" if words else str(value)
    try:
        pattern = re.compile(spelled)
    except re.error as error:
        raise UserError(f"{place} is no regular expression: {error}", hint=EXAMPLE) from error
    require(pattern.match("") is None, f"{place} matches nothing at all, everywhere", hint=r"\d+ instead of \d*")
    return pattern


def entities_in(texts: Sequence[str], patterns: Mapping[str, re.Pattern[str]]) -> Iterator[Entity]:
    """Yield the entities of texts, in their order; of two that overlap the one that begins first, or is longer."""
    for row, text in enumerate(texts):
        spans = [
            (match.start(), -match.end(), kind) for kind, each in patterns.items() for match in each.finditer(text)
        ]
        end = 0
        for start, last, kind in sorted(spans):
            if start >= end and -last - start <= LONGEST:
                yield Entity(kind, row, text[start:-last], start)
                end = -last


def entity_secrets(
    texts: Sequence[str],
    names: Sequence[str],
    is_member: Sequence[bool],
    patterns: Mapping[str, re.Pattern[str]],
    at_most: int = AT_MOST,
    alternatives: int = DRAWN,
    key: str = "secrets.entities",
) -> tuple[Secret, ...]:
    """Return the entities of members as secrets, at most `at_most` of each kind, drawn at random.

    `texts` are those of members and others, called `names`; each entity gets up to `alternatives`. An entity with which
    a text begins has no prefix and is left out, and so is one that a text holds again. Raises `UserError` for a kind of
    which there are none, or too few different ones to rank any among.
    """
    every = list(entities_in(texts, patterns))
    secrets = list[Secret]()
    for kind in patterns:
        own = [each for each in every if each.kind == kind]
        asked = [each for each in _once(own) if is_member[each.row] and texts[each.row][: each.start].strip()]
        require(asked, f"{key}: no text that the model was trained on holds a {kind} behind other words")
        pool = sorted({each.says for each in own})
        message = f"{key}: the texts hold {len(pool)} different {kind}, and each needs {FEWEST} others to rank among"
        require(len(pool) > FEWEST, message, hint="a pattern that finds more, or more texts")
        draw = seeds.generator(0, "entities", kind)
        places: list[int] = sorted(draw.permutation(len(asked))[:at_most].tolist())
        for place in places:
            entity, name = asked[place], f"{kind} {place + 1}, {names[asked[place].row]}"
            shuffled = [pool[number] for number in draw.permutation(len(pool)).tolist()]
            others = _others(entity.says, shuffled)[:alternatives]
            secrets.append(Secret(name, texts[entity.row][: entity.start], entity.says, others))
    return tuple(secrets)


def _others(says: str, pool: list[str]) -> tuple[str, ...]:
    """Return all of a pool but one, those of like length first."""
    return tuple(sorted((other for other in pool if other != says), key=lambda other: abs(len(other) - len(says))))


def _once(entities: Sequence[Entity]) -> Iterator[Entity]:
    """Yield the first of each entity that a text repeats."""
    seen = set[tuple[int, str]]()
    for each in entities:
        if (each.row, each.says) not in seen:
            seen.add((each.row, each.says))
            yield each
