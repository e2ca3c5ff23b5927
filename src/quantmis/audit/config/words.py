"""What is said of an audit file that cannot be: the key, what arrived, and what is meant to stand there."""

from pathlib import Path
from typing import Any, get_args

import pydantic
from pydantic import BaseModel

from quantmis.errors import UserError
from quantmis.registry import suggestion

SHOWN = 40
BRANCHES = ("str", "int", "float", "list[str]")
"""What pydantic calls the branches of a union, which are no places in a file."""
NO_SECTION = ("model_type", "model_attributes_type", "dict_type")
ANY = "quantmis init writes an audit file, and quantmis schema says what each key means"
SECTIONS = {
    "data": 'write [data] with file = "people.csv" and target = "the column to predict", or with another source',
    "model": 'write [model] with function = "my_module:MyModel"',
}


def explained(path: Path, error: pydantic.ValidationError, root: type[BaseModel]) -> UserError:
    """Return the error of the user's that pydantic found in a file of the shape `root`."""
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")  # a misspelled key is also missing
    place = [str(step) for step in first["loc"]]
    *sections, key = place or [""]
    fields = _fields(sections, root)
    if first["type"] == "extra_forbidden":
        return UserError(f"{path}: unknown key {'.'.join(place)}", hint=suggestion(key, list(fields)))
    if first["type"] == "missing" and not sections:
        return UserError(f"{path}: there is no section [{key}]", hint=SECTIONS.get(key))
    while key not in fields and sections:  # the branch of a union, or a place in a list
        *sections, key = sections
        fields = _fields(sections, root)
    where = ".".join(step for step in place if step not in BRANCHES)
    if first["type"] == "missing":
        return UserError(f"{path}: {where} is missing", hint=_meant(fields, key))
    if first["type"] in NO_SECTION and _models(fields[key].annotation):
        return UserError(f"{path}: {where} is no section", hint=f"write [{where}] on a line, and its keys below it")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "Input should be a word"
    return UserError(
        f"{path}: {where + ': ' if where else ''}{message}{_arrived(first)}", hint=_hint(first, fields, key)
    )


def _hint(first: Any, fields: dict[str, Any], key: str) -> str:
    """Return what to do: what whoever refused it says, how a list is written, what is meant, or where that stands."""
    own = first.get("ctx", {}).get("hint")
    if first["type"] == "list_type" and isinstance(first["input"], str):
        return f'a list, of one too: {key} = ["{first["input"]}"]'
    return own or _meant(fields, key) or SECTIONS.get(key) or ANY


def _arrived(first: Any) -> str:
    """Say what stands there, where that is short."""
    is_plain = isinstance(first["input"], str | int | float) and first["type"] != "value_error"
    return f", got {repr(first['input'])[:SHOWN]}" if is_plain else ""


def _meant(fields: dict[str, Any], key: str) -> str | None:
    leaf = key in fields and not _models(fields[key].annotation)
    description = fields[key].description if leaf else None
    return None if description is None else " ".join(f"{key}: {description}".split())


def _fields(sections: list[str], root: type[BaseModel]) -> dict[str, Any]:
    """Return the fields that are known in a section, by their names."""
    kind = root
    for step in sections:
        field = kind.model_fields.get(step)
        inner = [] if field is None else _models(field.annotation)
        kind = inner[0] if inner else kind
    return dict(kind.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections in a type: of `list[Elsewhere] | None`, that is `Elsewhere`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for each in get_args(annotation) for section in _models(each)]
