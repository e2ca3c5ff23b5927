"""The options of a search, declared once, as those of an audit are: the section [search], `quantmis.search`, the help.

What is searched is `families` x `bits` x `granularity` x `sparsity`, for all layers alike and for each of `layers` by
itself. A family takes the values that it has a meaning for.
"""

from typing import Annotated, Any

import pydantic
from pydantic import Field

from quantmis.audit.options import OneOf, Section
from quantmis.errors import UserError
from quantmis.registry import suggestion

PREFERENCES = ("exposure", "utility", "bits")
FAMILIES = ("uniform", "normal_float", "k_means", "ternary", "sign")
CALIBRATED = ("gptq",)
"""Families that are searched by default, and those that join them where candidates may look at data."""

LEAST, MOST = 1, 8
Bits = Annotated[int, Field(ge=LEAST, le=MOST)]
Share = Annotated[float, Field(gt=0, lt=1)]
Zeros = Annotated[float, Field(ge=0, lt=1)]
GroupSize = Annotated[int, Field(ge=1)]


class SearchOptions(Section):
    """Hold what a search may vary, how long it looks, and what its result must keep to."""

    families: Annotated[list[str] | None, Field(min_length=1)] = None
    """Quantizers as `quantmis list quantizers` names them; one with parameters is taken as it stands. By default
    uniform, normal_float, k_means, ternary, sign and, where candidates may look at data, gptq."""
    bits: list[Bits] = Field(default=[2, 3, 4, 5, 6, 7, 8], min_length=1)
    """The bits of a code, for families that have them."""
    granularity: list[str | GroupSize] = Field(default=["tensor", "channel", 64], min_length=1)
    """What shares a scale: tensor, channel, or so many neighbouring weights of a channel."""
    sparsity: list[Zeros] = Field(default=[0.33, 0.5, 0.7, 0.8, 0.9, 0.95], min_length=1)
    """The share of zeros, for families that have it."""
    layers: list[str] | None = None
    """Patterns of layer names, or the words first and last, each of which may have a version of its own; an empty list
    gives all layers one version. By default each layer of a small model, of a larger one each kind."""
    calibrated: bool = True
    """Whether candidates may look at data."""
    candidates: Annotated[int, Field(ge=1, le=100_000)] = 300
    """How many candidates are measured; a search that has ended goes on where there may be more."""
    trainings: int = 4
    """How many models are trained for the search, an even number: complementary pairs."""
    apart: Share = 0.5
    """The share of the samples that the search sees; the result is measured on the others."""
    confirm: Annotated[int, Field(ge=1, le=100)] = 8
    """How many candidates of the front are measured again, on other trainings and samples."""
    prefer: Annotated[str, OneOf(*PREFERENCES)] = "exposure"
    """What the winner has most of, or least, within the limits: exposure, utility or bits."""
    loss_at_most: Annotated[float, Field(ge=0)] | None = None
    """How much utility a candidate may cost against full precision, in units of the utility; 0.02 where no policy
    limits the utility."""
    policy: str | None = None
    """A policy file, as of `quantmis gate`, whose limits the candidates are held to."""
    probe: str = "uniform(bits=2)"
    """The quantizer that layers are told apart by: one layer is put through it at a time, and all but one."""

    @pydantic.field_validator("prefer")
    @classmethod
    def _preference(cls, value: str) -> str:
        if value not in PREFERENCES:
            raise ValueError(f"unknown preference {value!r}: {suggestion(value, PREFERENCES)}")
        return value

    @pydantic.field_validator("granularity")
    @classmethod
    def _granular(cls, value: list[str | int]) -> list[str | int]:
        words = [each for each in value if isinstance(each, str) and each not in ("tensor", "channel")]
        if words:
            raise ValueError(f"granularity is tensor, channel or a number of weights, got {words[0]!r}")
        return value

    @pydantic.field_validator("trainings")
    @classmethod
    def _in_pairs(cls, value: int) -> int:
        if value < 2 or value % 2:
            raise ValueError(f"trainings come in pairs: expected an even number, at least 2, got {value}")
        return value

    @classmethod
    def of(cls, **given: Any) -> "SearchOptions":
        """Return the options that a call in Python gives; `UserError` for a value of another type."""
        try:
            return cls.model_validate(given, strict=False)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "search"
            raise UserError(f"{name}: {first['msg'].removeprefix('Value error, ')}", hint=_meaning(name)) from error


def _meaning(option: str) -> str | None:
    field = SearchOptions.model_fields.get(option.partition(".")[0])
    return None if field is None else " ".join(str(field.description).split())


def table() -> str:
    """Return the options as lines for a docstring: name, default, meaning."""
    fields = SearchOptions.model_fields.items()
    return "\n".join(f"`{name}` ({field.default!r}): {_meaning(name)}" for name, field in fields)
