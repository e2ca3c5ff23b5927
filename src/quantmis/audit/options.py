"""The options of an audit, declared once: name, type, default and meaning.

`quantmis.audit` takes them by these names, the section [audit] of an audit file has them as keys, the commands offer
some of them; the JSON schema, the help of the commands, the table in the documentation and the record of how to
reproduce an audit are made from this declaration.
"""

from typing import Annotated, Any, get_args

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from quantmis.errors import UserError
from quantmis.registry import suggestion

DEPTHS = ("as-is", "indicator", "shadow")
EXECUTORS = ("local", "ray")
OBJECTS = ("quantizers", "attacks")
"""The options that may be objects in Python; in an audit file they are names."""

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")
KEEP_WEIGHTS = ("all", "adapters", "none")
CALIBRATE_ON = ("held_out", "members")
"""Where calibration samples come from: members of no model, the same for all; or of the very model, which may leak."""


def OneOf(*words: str) -> Any:  # noqa: N802 it stands where a type does
    """Tell editors which words there are; whoever takes them refuses others with the nearest."""
    return Field(json_schema_extra={"enum": list(words)})


def hinted(message: str, hint: str) -> PydanticCustomError:
    """Return what a validator raises so that its user is told what to do: a message, and a hint of its own."""
    return PydanticCustomError("hinted", "{message}", {"message": message, "hint": hint})


class Section(BaseModel):
    """Refuse keys that mean nothing, and numbers that are infinite or none."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class AuditOptions(Section):
    """Hold the options of `quantmis.audit` that an audit file can give too, as the user wrote them."""

    quantizers: list[str] | None = None
    """Quantizers as `quantmis list quantizers` writes them, by default nine codebooks; full precision is always
    measured."""
    attacks: list[str] | None = None
    """Attacks as `quantmis list attacks` writes them; by default those of the depth."""
    depth: Annotated[str | None, OneOf(*DEPTHS)] = None
    """as-is trains nothing, indicator a few models, shadow tens of models; by default as-is for a trained model without
    a recipe, else shadow."""
    shadows: int | None = None
    """How many models the attacks have to learn from, an even number; 64 at shadow depth."""
    replicates: int | None = None
    """How many of the models the indicator compares, an even number; by default all, 4 at indicator depth."""
    held_out: float = 1 / 3
    """The share of the samples that no model is trained on."""
    seed: int = 0
    """The same seed gives the same result."""
    level: float = 0.95
    """The confidence level of every interval."""
    checkpoint_every: int | None = None
    """Epochs after which a model in training is a candidate of the indicator too."""
    keep_weights: Annotated[str, OneOf(*KEEP_WEIGHTS)] = "all"
    """Of which trained models the folder keeps weights, so that another quantizer trains nothing: all, adapters (models
    that low-rank adapters were trained of: only these are kept), or none."""
    canaries: int = 0
    """How many wrongly labelled copies to train on; of a causal-lm, random texts at each of a few counts."""
    release: list[list[str]] | None = None
    """Which versions are released together, a list of names for each set: what they give away jointly is measured; by
    default all that are audited are one set. An empty list measures none."""
    calibrate_on: Annotated[str, OneOf(*CALIBRATE_ON)] = "held_out"
    """What quantizers that look at data are shown: held_out samples or, to measure what that leaks, members."""
    engine: Annotated[str, OneOf("auto", "stacked", "im2col", "loop")] = "auto"
    """How models are trained: auto, stacked, im2col or loop; auto takes the fastest."""
    executor: Annotated[str, OneOf(*EXECUTORS)] = "local"
    """Where: local for this machine, ray for the Ray cluster of RAY_ADDRESS."""
    address: str = "auto"
    """HOST:PORT of the Ray cluster; auto is that of RAY_ADDRESS."""
    device: Annotated[str, OneOf(*DEVICES)] = "auto"
    """Where models are trained, and language models quantized and scored: cpu, cuda, mps, or auto for the fastest that
    is there."""
    dtype: Annotated[str | None, OneOf(*DTYPES)] = None
    """The number format of a language model's weights: float32, bfloat16 or float16; by default that of its file, and
    float32 to train."""
    memory: float = 1.0
    """GiB that a group of models may use while it trains."""
    fresh: bool = False
    """Whether to train every model anew, whatever finished work the folder holds; that is removed first."""

    @model_validator(mode="after")
    def _require_known(self) -> "AuditOptions":
        if self.depth is not None and self.depth not in DEPTHS:
            raise hinted(f"unknown depth {self.depth!r}", suggestion(self.depth, DEPTHS))
        small = [each for each in self.release or [] if len(set(each)) < max(2, len(each))]
        if small:
            raise ValueError(f"a release set is two different versions or more, got {small[0]}")
        return self

    @classmethod
    def of(cls, **given: Any) -> "AuditOptions":
        """Return the options that a call in Python gives; `UserError` for a value of another type."""
        try:
            return cls.model_validate(given, strict=False)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "options"
            hint = first.get("ctx", {}).get("hint") or meaning(name)
            raise UserError(f"{name}: {first['msg'].removeprefix('Value error, ')}", hint=hint) from error

    def as_arguments(self, *leave_out: str) -> str:
        """Write the options that differ from their defaults as the arguments of a call in Python."""
        options = self.model_dump(exclude_defaults=True, exclude=set(leave_out))
        return ", ".join(f"{name}={value!r}" for name, value in options.items())


def meaning(option: str) -> str | None:
    """Return what an option means, None for one that does not exist."""
    field = AuditOptions.model_fields.get(option)
    return None if field is None else " ".join(str(field.description).split())


def table() -> str:
    """Return the options as lines for a docstring: name, default, meaning."""
    lines = (
        f"`{name}` ({_type(field.annotation)}, {field.default!r}): {meaning(name)}"
        for name, field in AuditOptions.model_fields.items()
    )
    return "\n".join(lines)


def _type(annotation: Any) -> str:
    names = [each.__name__ for each in get_args(annotation) if each is not type(None)] or [annotation.__name__]
    return " or ".join(names)
