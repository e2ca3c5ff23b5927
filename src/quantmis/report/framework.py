"""Frameworks of expectations as files: what a regulator, a standard or an auditor asks of a model's privacy.

A file says of each expectation its place, what is expected in words of one's own, and what of an audit answers it: the
names of measures or of facts, or why it lies outside. It says too when it was read and by what, and whether in the
original. Those of `frameworks/` come with the package; anybody writes further ones.
"""

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.measures import SUBJECTS, measures_of
from quantmis.registry import suggestion
from quantmis.report.facts import FACTS
from quantmis.report.words import clean

LARGEST = 10**6
Words = Annotated[str, Field(min_length=1, max_length=2000)]


class _Section(BaseModel):
    """Refuse keys that mean nothing, and numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Expectation(_Section):
    """Hold one expectation: what is expected, and what of an audit answers it."""

    id: Words
    """What it is called in tables: a paragraph, a requirement."""
    where: Words
    """Where it can be read."""
    expects: Words
    """What is expected, in words of one's own."""
    evidence: list[str] = []
    """Names of measures or facts; all of the facts, and one of the measures, must be there."""
    at_most: float | None = None
    """The largest value that the first measure may have, beyond doubt."""
    at_least: float | None = None
    """The smallest value that the first measure may have, beyond doubt."""
    outside: str = ""
    """Why no audit answers it."""
    read_in_original: bool | None = None
    """Whether this was read in the original, where it differs from the rest of the file."""

    @model_validator(mode="after")
    def _answered(self) -> "Expectation":
        if bool(self.evidence) == bool(self.outside):
            raise ValueError("give evidence, or say why it lies outside")
        if self.at_most is not None and self.at_least is not None:
            raise ValueError("give at_most or at_least")
        return self

    @property
    def limit(self) -> float | None:
        """The value that the first measure is held against, None where it need only be measured."""
        return self.at_most if self.at_most is not None else self.at_least


class Framework(_Section):
    """Hold the expectations of one text, and how they were read."""

    name: Words
    title: Words
    edition: Words
    url: Words
    read_on: date
    read_by: Words
    """What was read, and by what."""
    read_in_original: bool
    note: str = ""
    expectation: Annotated[list[Expectation], Field(min_length=1)]

    def is_original(self, expectation: Expectation) -> bool:
        """Return whether an expectation was read in the original."""
        own = expectation.read_in_original
        return self.read_in_original if own is None else own


def known_measures() -> list[str]:
    """Return the names of all measures, whatever they are about."""
    return [name for subject in SUBJECTS for name in measures_of(subject)]


@cache
def built_in() -> tuple[Framework, ...]:
    """Return the frameworks of the package, in the order of their names."""
    places = sorted(files("quantmis.report").joinpath("frameworks").iterdir(), key=lambda place: place.name)
    return tuple(parse(place.read_bytes(), place.name) for place in places if place.name.endswith(".toml"))


def read(path: Path) -> Framework:
    """Read a framework file; `UserError` for an unknown key or measure."""
    return parse(content_of(path, "the framework", LARGEST), clean(str(path), 200))


def parse(content: bytes, source: str) -> Framework:
    """Parse and check the bytes of a framework file; `source` names it in errors."""
    try:
        framework = Framework.model_validate(tomllib.loads(content.decode()))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{source}: {place}: {message}", hint="see the guide on expectations") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source} is no TOML: {clean(str(error), 200)}", hint="see https://toml.io") from error
    for each in framework.expectation:
        _require_known(each, f"{source}: {clean(each.id)}")
    return framework


def _require_known(expectation: Expectation, place: str) -> None:
    """Raise `UserError` for evidence that is neither a measure nor a fact, and for a limit on what is no measure."""
    measures, evidence = known_measures(), expectation.evidence
    known = [*measures, *FACTS]
    for name in evidence:
        hint = suggestion(clean(name), known)
        require(name in known, f"{place}: there is no measure or fact {clean(name)!r}", hint)
    limited = expectation.limit is None or evidence[0] in measures
    require(limited, f"{place}: a limit holds the first measure, and {clean(str(evidence[:1]))} is none")
