"""What every measure is a function of: the loss table of one version, attacked, beside that of full precision."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Shaped

from quantmis.stats import Bound, Unmeasured, evaluate
from quantmis.stats.metrics import Metrics
from quantmis.tables import LossTable

Scores = Float[np.ndarray, "models samples"]


@dataclass(frozen=True, eq=False)
class Precision:
    """Say how measures are taken: the `level` of intervals, the `seed` of draws, how many `replicates` are compared."""

    level: float
    seed: int = 0
    replicates: int = 0


@dataclass(frozen=True, eq=False)
class Attempts(Mapping[str, Scores | Unmeasured]):
    """Hold attacks on one version by name, each carried out when it is first asked for.

    `out_of_question`: the attacks that cannot be tried, and why not. `may_fail`: of the others an attack may turn out
    to be impossible too, and has the reason in place of its scores.
    """

    names: tuple[str, ...]
    attempt: Callable[[str], Scores | Unmeasured]
    out_of_question: Mapping[str, Unmeasured]
    may_fail: bool
    _done: dict[str, Scores | Unmeasured] = field(default_factory=dict[str, Scores | Unmeasured])

    def __getitem__(self, name: str) -> Scores | Unmeasured:
        """Return the scores of an attack, or why there are none; `KeyError` for one that is not of the audit."""
        if name not in self.names:
            raise KeyError(name)
        if name not in self._done:
            self._done[name] = self.out_of_question[name] if name in self.out_of_question else self.attempt(name)
        return self._done[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the attacks."""
        return iter(self.names)

    def __len__(self) -> int:
        """Count the attacks."""
        return len(self.names)

    def is_carried_out(self, name: str) -> bool:
        """Say whether an attack has scores; they are computed only where that is not known otherwise."""
        if name in self.out_of_question:
            return False
        return not self.may_fail or not isinstance(self[name], Unmeasured)


def carried_out(attempts: Mapping[str, Scores | Unmeasured]) -> Iterator[str]:
    """Go through the names of the attacks that have scores, without computing these where that is known otherwise."""
    for name in attempts:
        is_lazy = isinstance(attempts, Attempts)
        if attempts.is_carried_out(name) if is_lazy else not isinstance(attempts[name], Unmeasured):
            yield name


@dataclass(frozen=True, eq=False)
class ScoredVersion:
    """Hold one version of a model with the scores of every attack on it, and the bound on security that they give.

    An attack that could not be carried out has the reason in place of its scores. `full_precision` is the version that
    all are compared with, itself included. `lead_attack`: the attack that single numbers are told by. `ids` names the
    samples, where they have names. `refer` names the attacks that hold other models against a target, `excluded` those
    that are told what no attacker would know.
    """

    table: LossTable
    adaptive: Mapping[str, Scores | Unmeasured]
    transfer: Mapping[str, Scores | Unmeasured]
    bound: Bound
    lead_attack: str
    precision: Precision
    reference: "ScoredVersion | None" = None
    ids: np.ndarray | None = None
    refer: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    @property
    def full_precision(self) -> "ScoredVersion":
        """The version that all are compared with."""
        return self if self.reference is None else self.reference

    @property
    def is_full_precision(self) -> bool:
        """Whether this is the version that all are compared with."""
        return self.reference is None

    @property
    def exposing_attack(self) -> str:
        """The attack that exposure is told by: the lead attack, or the next that could be carried out."""
        names = list(carried_out(self.adaptive))
        return self.lead_attack if self.lead_attack in names or not names else names[0]

    @property
    def exposing_scores(self) -> Scores | Unmeasured:
        """The scores that exposure is told by, or why there are none."""
        return self.adaptive[self.exposing_attack]


@dataclass(frozen=True, eq=False)
class ScoredRelease:
    """Hold versions that are released together, with what somebody makes of them who has them all.

    `joint`: the scores of attacks on all of them at once, or why one could not be carried out. `together`: the bound
    that these give; `alone`: that of the strongest attack on whichever single version is strongest; `without`: that of
    the attacks on all the others, by the name of the version that is left out. `groups`: which samples belong together;
    `each_other`: the models are each other's references.
    """

    names: tuple[str, ...]
    member: Bool[np.ndarray, "models samples"]
    joint: dict[str, Scores | Unmeasured]
    together: Bound
    alone: Bound
    without: dict[str, Bound]
    level: float
    groups: Shaped[np.ndarray, " samples"] | None = None
    each_other: bool = False


@dataclass(frozen=True, eq=False)
class AttackOutcome:
    """Hold the scores of one attack on one version, who was a member, and which samples belong together.

    `each_other`: the models are each other's references.
    """

    scores: Scores
    member: Bool[np.ndarray, "models samples"]
    level: float
    groups: Shaped[np.ndarray, " samples"] | None = None
    each_other: bool = False

    @cached_property
    def metrics(self) -> Metrics:
        """Every metric of the scores, computed once."""
        return evaluate(self.scores, self.member, self.level, groups=self.groups, each_other=self.each_other)
