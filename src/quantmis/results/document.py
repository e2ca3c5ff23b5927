"""The result of an audit as a versioned JSON document: `results.json`.

Every number that an audit prints stands here with its interval, and every quantity that was not measured stands
here as an object with a `reason`. Promise: within one `schema_version` a field never changes its meaning; new
fields may be added. The document of the same seed is the same but for `environment`.
"""

from typing import Literal

from pydantic import Field, model_validator

from quantmis.measures import Record
from quantmis.results.certificate import CertificateResult
from quantmis.results.records import Measured, ReleaseResult, VersionResult
from quantmis.stats import Estimate, Unmeasured

SCHEMA_VERSION = 2
DASH = "\N{EN DASH}"


class Config(Record):
    """Say what was asked for, in the words of the user; `lead_attack` is the attack that is shown where one is.

    `release`: the versions of each release set, where it was said which are released together. `auditor` and
    `release_context`: who audits, and who gets the weights under which terms, as they were declared.
    """

    model: str
    loss: str
    recipe: dict[str, str | float | int | bool]
    seed: int
    depth: Literal["shadow", "indicator", "as-is"]
    shadows: int
    replicates: int
    quantizers: list[str]
    attacks: list[str]
    lead_attack: str
    level: float
    calibrate_on: str = "held_out"
    release: list[list[str]] | None = None
    auditor: dict[str, str] | None = None
    release_context: dict[str, str] | None = None


class Environment(Record):
    """Say where, when and how the audit ran.

    `engine`: how models were trained, and what was measured to choose it. `reused`: how many models the store held.
    `seal`: the SHA-256 of the document without this field, as `quantmis.results.seal` writes it.
    """

    versions: dict[str, str]
    machine: str
    device: str
    engine: str = ""
    reused: int = 0
    started: str
    seconds: dict[str, float]
    seal: str = ""


class Data(Record):
    """Describe the samples: `samples` were divided among the models, `held_out` were shown to none.

    `digest` is the SHA-256 of the bytes of inputs and labels, `features` the shape of one sample, `notes` how inputs
    and labels were made, a sentence each. `groups`: how many groups the user put them in; `copies`: how many samples
    repeat an earlier one, by their bytes or but for rounding. `columns_apart`: how many times the standard deviation of
    a typical column of the inputs the largest is; None for inputs that are no columns of numbers. `class_names`: what
    the classes 0, 1, ... are called, where that is known.
    """

    samples: int
    held_out: int
    members_per_model: int
    features: list[int]
    classes: int | None = None
    digest: str
    notes: tuple[str, ...] = ()
    groups: int | None = None
    copies: int = 0
    columns_apart: float | None = None
    class_names: tuple[str, ...] = ()


def standing(rank: int | None, tied: int) -> str:
    """Write the best rank and, of a version that is tied with others, the worst that it may have; a dash for none.

    >>> standing(2, 0), standing(2, 3), standing(None, 0)
    ('2', '2\u20135', '\u2013')
    """
    if rank is None:
        return DASH
    return f"{rank}{DASH}{rank + tied}" if tied else str(rank)


class Rank(Record):
    """Place one quantizer: `rank` is 1 + the number of quantizers that gave away less beyond doubt.

    `tied` names the quantizers that the data cannot tell from it. For whoever chooses it, for whatever reason: `chosen`
    is how often an attacker is right, in an interval that holds for all versions together, and `at_most_more` how much
    more often, at most, than about the version that gives away least, whichever that is.
    """

    rank: int
    name: str
    tied: list[str]
    chosen: Estimate | None = None
    at_most_more: float | None = Field(default=None, ge=0.0, le=0.5)

    def __str__(self) -> str:
        """Write the rank or the ranks that ties leave open, the name, and the quantizers tied with it."""
        return f"{standing(self.rank, len(self.tied)):>5} {self.name}" + (
            f"  (tied with {', '.join(self.tied)})" if self.tied else ""
        )


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
    version: str
    expected: str
    found: Measured
    passed: bool | None = None


class AttackDescription(Record):
    """Hold what people read of an attack, in its author's words, and whether its success bounds security."""

    description: str
    bounds_security: bool = True


class Finding(Record):
    """Tell the reader what to keep in mind, under a stable code."""

    code: str
    text: str


class BlindBaseline(Record):
    """Hold what a classifier that never sees the model makes of the features alone.

    Where it tells members from non-members (`differs`), the two sets differ in distribution, and every number about
    this model may show that difference instead of what the model remembers.
    """

    method: str
    auc: Measured
    balanced_accuracy: Measured
    differs: bool


class TargetResult(Record):
    """Hold what was measured about the very model that was given: *this model*, not *this training algorithm*.

    `name` is where its weights came from, `digest` the SHA-256 of their names, types, shapes and bytes. `versions` are
    its quantized versions, each a model of one row: in an as-is audit there are none here, because all that was
    measured is about this model, and stands in `versions` of the document. `stated`: the utility that its owner knows
    of it, with which what was measured agreed; `stated_members`: on its members. `near_duplicates`: how many members
    look like a non-member. `file`: the SHA-256 of the bytes of the file that the weights came from, where they came
    from one; `files`: the same of each version that was read from a file. `releases`: what its versions give away
    together, at the depths where `versions` are here. `forget`: how many samples it was made to forget; `before` and
    `retrained`: the digests of the models that it is compared with, where there are any; `forget_blind`: whether those
    samples differ by themselves from non-members of the same classes.
    """

    name: str
    digest: str
    members: int
    non_members: int
    blind: BlindBaseline | Unmeasured
    versions: list[VersionResult]
    ranking: Ranking | Unmeasured
    stated: float | None = None
    stated_members: float | None = None
    near_duplicates: int = 0
    file: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    releases: list[ReleaseResult] = Field(default_factory=list[ReleaseResult])
    forget: int = 0
    before: str = ""
    retrained: str = ""
    forget_blind: BlindBaseline | Unmeasured | None = None


class Reproduce(Record):
    """Say how to run the same audit again."""

    command: str
    python: str


NO_TARGET = Unmeasured("no trained model was given")
SEE_DOCUMENT = Unmeasured("see the ranking of the document")
"""The ranking of a target that is all that was audited."""


class Results(Record):
    """Hold one whole audit; `certificate`: what the training guarantees, None where it guarantees nothing."""

    schema_version: Literal[2] = SCHEMA_VERSION
    config: Config
    environment: Environment
    data: Data
    attacks: dict[str, AttackDescription]
    versions: list[VersionResult]
    ranking: Ranking
    agreement: list[Agreement]
    controls: list[Control]
    warnings: list[Finding]
    reproduce: Reproduce
    target: TargetResult | Unmeasured = NO_TARGET
    releases: list[ReleaseResult] = Field(default_factory=list[ReleaseResult])
    certificate: CertificateResult | None = None

    @model_validator(mode="after")
    def _names_agree(self) -> "Results":
        _require_agree(self.versions, self.ranking)
        if isinstance(self.target, TargetResult) and isinstance(self.target.ranking, Ranking):
            _require_agree(self.target.versions or self.versions, self.target.ranking)
        for records, sets in _released(self):
            _require_measured(records, sets)
        return self

    @property
    def this_model(self) -> "tuple[list[VersionResult], Ranking] | Unmeasured":
        """The versions of the very model that was given, and their ranking, whatever the depth."""
        if isinstance(self.target, Unmeasured):
            return self.target
        if self.config.depth == "as-is":
            return self.versions, self.ranking
        ranking = self.target.ranking
        return ranking if isinstance(ranking, Unmeasured) else (self.target.versions, ranking)

    def version(self, name: str) -> VersionResult:
        """Return the record of the version that users call `name`."""
        return next(record for record in self.versions if record.name == name)


def _released(results: Results) -> list[tuple[list[VersionResult], list[ReleaseResult]]]:
    target = results.target
    own = [(target.versions, target.releases)] if isinstance(target, TargetResult) else []
    return [(results.versions, results.releases), *own]


def _require_measured(records: list[VersionResult], sets: list[ReleaseResult]) -> None:
    names = {record.name for record in records}
    for each in sets:
        if len(set(each.versions)) < max(2, len(each.versions)) or not set(each.versions) <= names:
            raise ValueError("a release set is not of two versions or more that were measured")


def _require_agree(records: list[VersionResult], ranking: Ranking) -> None:
    names = [record.name for record in records]
    ranked = {name for row in ranking.rows for name in (row.name, *row.tied)}
    if len(set(names)) < len(names) or not ranked <= set(names):
        raise ValueError("the ranking names other quantizers than were measured, or one was measured twice")
    rows = {row.name: set(row.tied) for row in ranking.rows}
    if len(rows) < len(ranking.rows):
        raise ValueError("the ranking names a quantizer twice")
    if any(name == other or name not in rows.get(other, ()) for name, tied in rows.items() for other in tied):
        raise ValueError("a tie in the ranking is not of two different quantizers with each other")
    if any(not 1 <= row.rank <= len(rows) for row in ranking.rows):
        raise ValueError("a rank of the ranking is not among as many as there are quantizers")
