"""The result of an audit as a versioned JSON document: `results.json`.

Every number that an audit prints stands here with its interval, and every quantity that was not measured stands
here as an object with a `reason`. Promise: within one `schema_version` a field never changes its meaning; new
fields may be added. The document of the same seed is the same but for `environment`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, model_validator

from quantmis.errors import UserError
from quantmis.files import write_atomically
from quantmis.stats import Estimate, EstimateError, Unmeasured

SCHEMA_VERSION = 1

Measured = Estimate | Unmeasured


@dataclass(frozen=True, kw_only=True)
class Utility(Estimate):
    """Hold what a quantized model is worth on held-out samples; `metric` names the measure, higher is better."""

    metric: str


@dataclass(frozen=True, kw_only=True)
class UpperBound(Estimate):
    """Hold an upper bound on membership inference security and the `attack` that gave it."""

    attack: str


@dataclass(frozen=True, kw_only=True)
class RateAt(Estimate):
    """Hold the true positive rate of an attack at the false positive rate `fpr`."""

    fpr: float


@dataclass(frozen=True, kw_only=True)
class UnresolvedAt(Unmeasured):
    """Say why there is no true positive rate at the false positive rate `fpr`."""

    fpr: float


class Record(BaseModel):
    """Refuse fields that the schema does not know, and changes after the fact."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Config(Record):
    """Say what was asked for, in the words of the user."""

    model: str
    loss: str
    recipe: dict[str, str | float | int | bool]
    seed: int
    depth: Literal["shadow", "indicator", "as-is"]
    shadows: int
    replicates: int
    quantizers: list[str]
    attacks: list[str]
    level: float


class Environment(Record):
    """Say where, when and how the audit ran.

    `engine`: how models were trained, and what was measured to choose it. `reused`: how many models the store held.
    """

    versions: dict[str, str]
    machine: str
    device: str
    engine: str = ""
    reused: int = 0
    started: str
    seconds: dict[str, float]


class Data(Record):
    """Describe the samples: `samples` were divided among the models, `held_out` were shown to none.

    `digest` is the SHA-256 of the bytes of inputs and labels, `features` the shape of one sample.
    """

    samples: int
    held_out: int
    members_per_model: int
    features: list[int]
    classes: int | None = None
    digest: str


class Curve(Record):
    """Hold points of a ROC curve for drawing; the numbers are beside it, with intervals."""

    fpr: list[float]
    tpr: list[float]


class AttackMetrics(Record):
    """Hold what one attack achieved against one quantizer."""

    auc: Measured
    advantage: Measured
    balanced_accuracy: Measured
    epsilon_low: Measured
    tpr: list[RateAt | UnresolvedAt]
    roc: Curve


class AttackResult(Record):
    """Hold one attack in both forms.

    `adaptive`: the attacker's own models went through the same quantizer as the target. `transfer`: they are full
    precision; its failure may be a mere shift of scores rather than privacy, so the adaptive number leads.
    """

    adaptive: AttackMetrics | Unmeasured
    transfer: AttackMetrics | Unmeasured


class QuantizerResult(Record):
    """Hold everything that was measured about one quantizer.

    `bits_per_weight` counts the scales; `sparsity` is the fraction of quantized weights that are zero, as measured;
    `untouched` names the layers left in full precision; `distinct` is how many different quantized models there were
    among the `models`; `table` is the path of the loss table, relative to `results.json`, `table_digest` the SHA-256 of
    its arrays.
    """

    name: str
    bits_per_weight: float
    sparsity: float
    weights: int
    untouched: list[str]
    models: int
    distinct: int
    table: str
    table_digest: str = ""
    utility: Utility
    indicator: Measured
    security: Measured
    security_upper_bound: UpperBound | Unmeasured
    attacks: dict[str, AttackResult]


class Rank(Record):
    """Place one quantizer: `rank` is 1 + the number of quantizers that gave away less beyond doubt.

    `tied` names the quantizers that the data cannot tell from it.
    """

    rank: int
    name: str
    tied: list[str]

    def __str__(self) -> str:
        """Write the rank, the name, and the quantizers tied with it."""
        return f"{self.rank:>3} {self.name}" + (f"  (tied with {', '.join(self.tied)})" if self.tied else "")


class Ranking(Record):
    """Order the quantizers from the one that gives away least; `criterion` says by which number."""

    criterion: str
    rows: list[Rank]

    def __str__(self) -> str:
        """Write a line per quantizer: its rank, its name, and those that the data cannot tell from it."""
        return "\n".join(map(str, self.rows))


class Agreement(Record):
    """Say whether two measures order the quantizers alike: Kendall's tau, 1 = the same order, 0 = no relation."""

    first: str
    second: str
    tau: Measured


class Control(Record):
    """Hold a test of the audit itself; `passed` is None where there is no right answer, only a number to read."""

    name: str
    quantizer: str
    expected: str
    found: Measured
    passed: bool | None = None


class Finding(Record):
    """Tell the reader what to keep in mind, under a stable code."""

    code: str
    text: str


class Reproduce(Record):
    """Say how to run the same audit again."""

    command: str
    python: str


class Results(Record):
    """Hold one whole audit."""

    schema_version: Literal[1] = SCHEMA_VERSION
    config: Config
    environment: Environment
    data: Data
    quantizers: list[QuantizerResult]
    ranking: Ranking
    agreement: list[Agreement]
    controls: list[Control]
    warnings: list[Finding]
    reproduce: Reproduce

    @model_validator(mode="after")
    def _names_agree(self) -> "Results":
        names = [record.name for record in self.quantizers]
        ranked = {name for row in self.ranking.rows for name in (row.name, *row.tied)}
        if len(set(names)) < len(names) or not ranked <= set(names):
            raise ValueError("the ranking names other quantizers than were measured, or one was measured twice")
        return self

    def quantizer(self, name: str) -> QuantizerResult:
        """Return the record of the quantizer that users call `name`."""
        return next(record for record in self.quantizers if record.name == name)


def write(results: Results, path: Path) -> None:
    """Write the document at `path`, whole or not at all."""
    write_atomically(path, results.model_dump_json(indent=1, exclude_none=True).encode() + b"\n")


def read(path: Path) -> Results:
    """Read a document; `UserError` where it is missing, truncated, edited out of shape or of a newer schema."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        hint = "run the audit first, or name the folder that holds results.json"
        raise UserError(f"cannot read {path}: {error.strerror}", hint=hint) from error


def parse(document: bytes, source: str = "results.json") -> Results:
    """Parse and check the bytes of a document; `source` names it in errors."""
    try:
        version = _Versioned.model_validate_json(document).schema_version
        _refuse_other_version(version, source)
        return Results.model_validate_json(document)
    except EstimateError as error:
        raise _invalid(source, str(error)) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise _invalid(source, f"{place}: {first['msg']}") from error


def _invalid(source: str, why: str) -> UserError:
    hint = "the file is truncated or was edited; run the audit again"
    return UserError(f"{source} is no valid result: {why}", hint=hint)


def _refuse_other_version(version: int, source: str) -> None:
    if version != SCHEMA_VERSION:
        message = f"{source} has schema version {version}; this quantmis reads version {SCHEMA_VERSION}"
        raise UserError(message, hint="upgrade with: pip install --upgrade quantmis")


class _Versioned(BaseModel):
    schema_version: int


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the document."""
    return Results.model_json_schema()
