"""The policy: the limits that a model must keep to before it is released, as a TOML file.

Every key says its direction, every limit is optional, and none has a hidden default but the four that keep weak
evidence out: no failed control, intervals of 95 %, a blind baseline that does not tell members from non-members, and a
model that is better than a constant guess.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quantmis.errors import UserError, require
from quantmis.files import opened
from quantmis.gate.verdict import Direction
from quantmis.measures import Measure, measures_of
from quantmis.measures.measure import LARGEST as LARGEST_MEASURE
from quantmis.registry import suggestion
from quantmis.report.words import clean
from quantmis.results.subjects import About

LARGEST = 10**6

Share = Annotated[float, Field(ge=0, le=1)]
AboveCoin = Annotated[float, Field(ge=0.5, le=1)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Position = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern="^(sha256:)?[0-9a-fA-F]{64}$")]


class Strict(BaseModel):
    """Refuse keys that mean nothing, and numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Section(Strict):
    """Describe keys by what stands below them in the source."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class RateLimit(Section):
    """Limit the share of members that an attack finds while it is wrong about this share of the non-members."""

    at_fpr: Annotated[float, Field(gt=0, lt=1)]
    """The share of non-members taken for members, such as 0.01."""
    at_most: Share
    """The largest share of members that may be found."""


def _limit_of(measure: Measure[Any]) -> Any:
    """Return the type of a limit on a measure: between the least value worth asking for and the largest there is."""
    low, high = _ends(measure)
    least, most = (low if low > -LARGEST_MEASURE else None), (high if high < LARGEST_MEASURE else None)
    limit: Any = Annotated[float, Field(ge=least, le=most)]
    return limit | None


def _ends(measure: Measure[Any]) -> tuple[float, float]:
    return (measure.span[0] if measure.chance is None else measure.chance), measure.span[1]


DIRECTIONS: dict[str, Direction] = {"at_most": "at most", "at_least": "at least"}
OF_A_SET = "release_"
"""What the names of measures of a release set begin with, which the section [release] says already."""


def limited() -> dict[str, tuple[Measure[Any], Direction]]:
    """Return every limit on versions that a policy can name: a measure, and in which direction it may be limited."""
    every = {**measures_of("version"), **measures_of("attack")}
    return {f"{name}_{end}": (each, DIRECTIONS[end]) for name, each in every.items() for end in each.limits}


def limited_together() -> dict[str, tuple[Measure[Any], Direction]]:
    """Return every limit on release sets that the section [release] of a policy can name."""
    every = measures_of("release set")
    return {
        f"{name.removeprefix(OF_A_SET)}_{end}": (each, DIRECTIONS[end])
        for name, each in every.items()
        for end in each.limits
    }


def _keys(limits: Mapping[str, tuple[Measure[Any], Direction]]) -> dict[str, Any]:
    return {
        key: (_limit_of(measure), Field(default=None, description=f"{measure.title}, {direction}. {measure.sentence}"))
        for key, (measure, direction) in limits.items()
    }


MeasureLimits: Any = pydantic.create_model("MeasureLimits", __base__=Strict, **_keys(limited()))
"""A limit for every measure that is declared to have one, in its own units."""

SetLimits: Any = pydantic.create_model("SetLimits", __base__=Strict, **_keys(limited_together()))
"""The same for measures of versions that are released together."""


def example() -> str:
    """Return a policy to begin with: the file beside this one, with a line for each limit that it does not name."""
    text = files("quantmis.gate").joinpath("example.toml").read_text(encoding="utf-8")
    head, mark, rest = text.partition("\n[[limits.tpr]]")
    others = [(key, measure) for key, (measure, _) in limited().items() if key not in head]
    lines = [f"# {key} = {min(max(0.0, _ends(each)[0]), _ends(each)[1])}  # {each.title}\n" for key, each in others]
    return "".join([head, *lines, mark, rest])


EXAMPLE = example()


class Limits(MeasureLimits):  # pyright: ignore[reportUntypedBaseClass] it is made of the declarations of measures
    """Limit the measures of a version: `<measure>_at_most` or `<measure>_at_least`, in the units of the measure.

    Measures of attacks are held by the strongest attack that an attacker could carry out, those of classes by the most
    exposed class.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    tpr: list[RateLimit] = Field(default_factory=list[RateLimit])
    """The share of members found (TPR) by the share of non-members taken for members (FPR)."""


class ReleaseLimits(SetLimits):  # pyright: ignore[reportUntypedBaseClass] it is made of the declarations of measures
    """Limit what versions that are released together give away, each release set of the audit."""


class RankingLimits(Section):
    """Limit the place of a version among those that were audited; 1 gives away least, and ties count against it."""

    rank_at_most: Position | None = None
    """The place by what the strongest attacker gets."""
    indicator_rank_at_most: Position | None = None
    """The place by the indicator r_Q."""


class Evidence(Section):
    """Say what an audit must have been for its numbers to count."""

    failed_controls_at_most: Count = 0
    """How many tests of the audit itself may have failed."""
    level_at_least: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """The confidence level of every interval that is used."""
    blind_baseline_at_most: AboveCoin | None = None
    """The AUC of a classifier that never sees the model; that it may not tell members apart is always asked."""
    depth: Literal["as-is", "indicator", "shadow"] | None = None
    """How deep the audit must have looked, at least."""
    shadows_at_least: Count | None = None
    """The number of shadow models."""
    attacks: list[str] = []
    """Attacks that must have been carried out on every version."""
    hardly_learned: Literal["refuse", "allow"] = "refuse"
    """What to do about a model that is not beyond doubt better than a constant guess, such as with a wrong encoding."""
    age_in_days_at_most: Amount | None = None
    """How long ago the audit may have begun."""
    weights: Sha256 | None = None
    """The SHA-256 of the weights that must have been audited, as results.json has it in target.digest."""


class Policy(Section):
    """Hold the limits that a model must keep to before it is released."""

    version: str | list[str] | None = None
    """The version to judge, or several; every version of the audit where it is left out."""
    about: list[About] | None = None
    """What must have been measured: this very model, its training algorithm, or both; whichever was, by default."""
    limits: Limits = Limits()
    release: ReleaseLimits = ReleaseLimits()
    ranking: RankingLimits = RankingLimits()
    evidence: Evidence = Evidence()

    @model_validator(mode="after")
    def _says_something(self) -> "Policy":
        limits = self.model_dump(exclude_defaults=True, exclude={"version", "about"})
        if not any(limits.values()):
            raise ValueError("it sets no limit, and so would pass every model")
        for name, value in (("version", self.version), ("about", self.about)):
            if value is not None and len(value) == 0:
                raise ValueError(f"{name} names nothing: leave it out to judge all")
        return self

    @property
    def versions(self) -> list[str] | None:
        """The versions to judge, each once; None for all."""
        names = [self.version] if isinstance(self.version, str) else self.version
        return None if names is None else list(dict.fromkeys(names))


SECTIONS: Mapping[str, type[Strict]] = {
    "": Policy,
    "limits": Limits,
    "limits.tpr": RateLimit,
    "release": ReleaseLimits,
    "ranking": RankingLimits,
    "evidence": Evidence,
}


def read(path: Path) -> Policy:
    """Read and check a policy; `UserError` names the key and the nearest known one."""
    try:
        with opened(path) as stream:
            content = stream.read(LARGEST + 1)
    except UserError as error:
        hint = "name a policy file; quantmis gate --example prints one to begin with"
        raise UserError(f"cannot read the policy {str(error).removeprefix('cannot read ')}", hint=hint) from error
    return parse(content, clean(str(path)))


def parse(content: bytes, source: str = "the policy") -> Policy:
    """Parse and check the bytes of a policy; `source` names it in errors."""
    require(len(content) <= LARGEST, f"{source} is larger than a megabyte", hint="a policy is a page of limits")
    try:
        return Policy.model_validate(tomllib.loads(content.decode()))
    except pydantic.ValidationError as error:
        raise _explained(source, error) from error
    except (ValueError, RecursionError) as error:  # of tomllib, also for bytes that are no text and endless numbers
        hint = "quantmis gate --example prints a policy; see https://toml.io for the format"
        raise UserError(f"{source} is no TOML: {clean(str(error), 200)}", hint=hint) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a policy, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}


def _explained(source: str, error: pydantic.ValidationError) -> UserError:
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")  # a misspelled key is also missing
    place = [str(step) for step in first["loc"]]
    where = clean(".".join(place))
    fields = SECTIONS.get(".".join(step for step in place[:-1] if not step.isdigit()), Policy).model_fields
    if first["type"] == "extra_forbidden":
        return UserError(f"{source}: unknown key {where}", hint=suggestion(clean(place[-1]), fields))
    arrived = f", got {clean(repr(first['input']), 40)}" if isinstance(first["input"], str | int | float) else ""
    message = f"{source}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}{arrived}"
    meant = fields[place[-1]].description if place and place[-1] in fields else None
    return UserError(message, hint=meant or "quantmis gate --example prints a policy with every key")
