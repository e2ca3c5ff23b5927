"""How a TOML file of the user's is read: as text of at most a megabyte, without numbers that are none."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from quantmis.audit.config.words import explained
from quantmis.audit.options import Section
from quantmis.errors import UserError, require
from quantmis.files import opened

S = TypeVar("S", bound=Section)

LARGEST = 10**6
SHOWN = 200
ENDLESS = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){64}""")
"""A key of very many parts: what reads TOML takes a time that grows with their square."""


def content_at(path: Path) -> bytes:
    """Return the bytes of an audit file; `UserError` for what cannot be one."""
    try:
        with opened(path) as stream:
            content = stream.read(LARGEST + 1)
    except UserError as error:
        raise UserError(str(error), hint="name an audit file; quantmis init writes one") from error
    require(len(content) <= LARGEST, f"{path} is larger than a megabyte", hint="data belong into files of their own")
    return content


def keys_of(content: bytes, path: Path) -> dict[str, Any]:
    """Return what a TOML file holds; `UserError` for what is none, and for numbers that are not finite."""
    try:
        text = content.decode("utf-8-sig")
        require(not ENDLESS.search(text), f"{path} is no TOML: it is nested too deeply", hint="a key has a name or two")
        keys = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of tomllib, also for bytes that are no text and endless numbers
        text = "see https://toml.io; strings stand in quotes"
        hint = "name an audit file; quantmis init writes one" if isinstance(error, UnicodeDecodeError) else text
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:SHOWN]
        raise UserError(f"{path} is no TOML: {why}", hint=hint) from error
    _require_finite(keys, [], path)
    return keys


def _require_finite(content: Any, place: list[str], path: Path) -> None:
    """Raise `UserError` for a number of the file that is infinite or none; every one is compared or multiplied."""
    good = not isinstance(content, float) or math.isfinite(content)
    require(good, f"{path}: {'.'.join(place)}: Input should be a finite number, got {content}")
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in parts:
        _require_finite(part, [*place, str(key)], path)


def validated(keys: dict[str, Any], kind: type[S], path: Path) -> S:
    """Return the file of a kind that the keys make; `UserError` names the key and the nearest known one."""
    try:
        return kind.model_validate(keys)
    except pydantic.ValidationError as error:
        raise explained(path, error, kind) from error
