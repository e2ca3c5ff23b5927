"""The section `[training]` of an audit file: the fields of a recipe, or a function and what it guarantees."""

import dataclasses
from typing import Any, get_args

import pydantic
from pydantic import Field, model_validator

from quantmis.audit.options import Section, hinted
from quantmis.models import DP, Certificate, Recipe


def _key(declared: "dataclasses.Field[Any]") -> tuple[Any, Any]:
    """Return a field of `quantmis.Recipe` as a key that may be left out; whole numbers may stand for others."""
    kinds = {each for each in get_args(declared.type) or (declared.type,) if each is not type(None)}
    words = sorted(each for each in kinds if isinstance(each, str))
    kind: Any = str if words else float | int if float in kinds else kinds.pop()
    default = "" if declared.default is None else f"; {declared.default}"
    meaning = declared.metadata["help"].removesuffix(".") + default + "."
    extra: Any = {"enum": words} if words else None
    return kind | None, Field(default=None, description=meaning, json_schema_extra=extra)


TABLES = ("dp",)
"""The fields of `quantmis.Recipe` that are tables of their own in an audit file."""

_KEYS: dict[str, Any] = {each.name: _key(each) for each in dataclasses.fields(Recipe) if each.name not in TABLES}
RecipeKeys: Any = pydantic.create_model("RecipeKeys", __base__=Section, **_KEYS)
"""The fields of `quantmis.Recipe`, each of which may be left out."""


class Privacy(Section):
    """Ask for differential privacy by DP-SGD: epsilon, or how much noise."""

    epsilon: float | int | None = None
    """What is guaranteed of each record; the noise follows from it."""
    noise_multiplier: float | int | None = None
    """The standard deviation of the noise, in units of clip_norm; epsilon follows from it."""
    delta: float
    """The probability that the guarantee may fail by; by convention less than one over the number of records."""
    clip_norm: float | int = 1.0
    """The largest norm of the gradient of one sample."""

    def as_recipe(self) -> DP:
        """Return what is asked for as a part of a recipe; `UserError` for numbers that guarantee nothing."""
        return DP(**self.model_dump())


class Guarantee(Section):
    """Declare what a training function guarantees of each record, and what counted it."""

    epsilon: float | int
    """The epsilon of differential privacy."""
    delta: float
    """Its delta."""
    by: str
    """What counted it, with its version."""

    def as_certificate(self) -> Certificate:
        """Return it as tasks have it; `UserError` for numbers that guarantee nothing."""
        return Certificate(**self.model_dump())


class Training(RecipeKeys):  # pyright: ignore[reportUntypedBaseClass] it is made of another declaration
    """Hold the fields of `quantmis.Recipe`, or the function that trains a model."""

    function: str | None = None
    """`module:train`, a function train(model, samples, generator) that returns the trained model."""
    certificate: Guarantee | None = None
    """What the function guarantees: { epsilon = 3.0, delta = 1e-5, by = "opacus 1.5" }; the audit tests it."""
    dp: Privacy | None = None
    """Differential privacy: { epsilon = 8, delta = 1e-5, clip_norm = 1.0 }, or noise_multiplier for epsilon."""

    def fields_given(self) -> dict[str, Any]:
        """Return the recipe's fields that were given."""
        plain = self.model_dump(exclude={"function", "certificate", "dp"}, exclude_none=True)
        return plain if self.dp is None else {**plain, "dp": self.dp.as_recipe()}

    @model_validator(mode="after")
    def _one(self) -> "Training":
        if self.function is not None and self.fields_given():
            names = ", ".join(self.fields_given())
            raise hinted(f"a function trains in its own way, without {names}", f"leave out function, or {names}")
        if self.certificate is not None and self.function is None:
            raise ValueError("a certificate is declared of a function that trains; that of dp = {...} is counted")
        return self
