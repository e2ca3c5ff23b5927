"""`results.json` as bytes: written whole, and read with every check before anything is made of it."""

from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel

from quantmis.errors import UserError
from quantmis.files import content_of, write_atomically
from quantmis.results.document import SCHEMA_VERSION, Results
from quantmis.results.ranges import faults
from quantmis.stats import EstimateError
from quantmis.tensor_files import strict_json

DOCUMENT = "results.json"
LONGEST = 300


def to_bytes(results: Results) -> bytes:
    """Return the document as the bytes of `results.json`."""
    return results.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"


def write(results: Results, path: Path) -> None:
    """Write the document at `path`, whole or not at all."""
    write_atomically(path, to_bytes(results))


def read(path: Path) -> Results:
    """Read a document, or that of the folder at `path`.

    Raises `UserError` where it is missing, truncated, edited out of shape or of a newer schema.
    """
    return parse(*contents(path))


def contents(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a document, or of that of the folder at `path`, and their name; `UserError` without one."""
    path = path / DOCUMENT if path.is_dir() else path
    try:
        return content_of(path), str(path)
    except UserError as error:
        hint = "run the audit first, or name the folder that holds results.json"
        raise UserError(str(error), hint=hint) from error


def parse(document: bytes, source: str = "results.json") -> Results:
    """Parse and check the bytes of a document; `source` names it in errors."""
    try:
        strict_json(document, "it")
    except UserError as error:
        raise _invalid(source, str(error)) from error
    try:
        version = _Versioned.model_validate_json(document).schema_version
        _refuse_other_version(version, source)
        results = Results.model_validate_json(document)
    except EstimateError as error:
        raise _invalid(source, str(error)) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise _invalid(source, f"{place}: {first['msg']}") from error
    fault = next(faults(results), None)
    if fault is not None:
        raise _invalid(source, fault)
    return results


def _invalid(source: str, why: str) -> UserError:
    hint = "the file is truncated or was edited; run the audit again"
    return UserError(f"{source} is no valid result: {why[:LONGEST]}", hint=hint)


def _refuse_other_version(version: int, source: str) -> None:
    if version != SCHEMA_VERSION:
        message = f"{source} has schema version {version}; this quantmis reads version {SCHEMA_VERSION}"
        newer = "upgrade with: pip install --upgrade quantmis"
        raise UserError(
            message, hint=newer if version > SCHEMA_VERSION else "run the audit again: nothing is trained twice"
        )


class _Versioned(BaseModel):
    schema_version: int


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the document."""
    return Results.model_json_schema()
