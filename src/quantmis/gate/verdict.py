"""One limit held against what was measured, always at the cautious end of the interval."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quantmis.report.words import NAME_LIMIT, clean
from quantmis.results import Measured
from quantmis.stats import Estimate, Unmeasured

AUDIT = "this audit"
Direction = Literal["at most", "at least"]
REASON_LIMIT = 300


@dataclass(frozen=True)
class Verdict:
    """Hold one limit of a policy against what was measured.

    `limit` is its place in the policy, `about` what it was held against: the audit, this model, or its training
    algorithm. `asked` and `found` are both in words. `reason` says why a limit is exceeded where the number alone does
    not. Where there is a number, `threshold` is the limit, `measured` the estimate, and `judged` the cautious end of
    its interval.
    """

    limit: str
    about: str
    version: str | None
    asked: str
    found: str
    within: bool
    reason: str = ""
    threshold: float | None = None
    measured: Estimate | None = None
    judged: float | None = None

    @property
    def subject(self) -> str:
        """What was judged, in words that are fit to print."""
        return self.about if self.version is None else f"{clean(self.version, NAME_LIMIT)}, {self.about}"

    @property
    def sentence(self) -> str:
        """What was asked and what was found, in words that are fit to print."""
        why = f": {clean(self.reason, REASON_LIMIT)}" if self.reason else ""
        return f"asked: {clean(self.asked, REASON_LIMIT)}; found: {clean(self.found, REASON_LIMIT)}{why}"


@dataclass(frozen=True)
class Judgement:
    """Hold the verdicts on an audit, those on the audit itself first, and `notes` on what was not judged.

    `results` and `policy` name what was held against what.
    """

    results: str
    policy: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def exceeded(self) -> list[Verdict]:
        """The verdicts of limits that are exceeded."""
        return [verdict for verdict in self.verdicts if not verdict.within]

    @property
    def within(self) -> bool:
        """Whether every limit is kept."""
        return not self.exceeded

    def __str__(self) -> str:
        """Say whether every limit is kept, or which are not, a line each."""
        lines = [f"{each.subject}: {each.sentence}" for each in self.exceeded]
        return "\n".join(lines or [f"{self.results} keeps to all {len(self.verdicts)} limits of {self.policy}"])


@dataclass(frozen=True)
class Bench:
    """Judge limits about one thing: the audit, or one version of this model or of its training algorithm."""

    about: str
    version: str | None
    level: float

    def hold(
        self, limit: str, direction: Direction, threshold: float | None, measured: Measured, source: str = ""
    ) -> Iterator[Verdict]:
        """Hold a measured quantity against `threshold`; nothing where there is none. `source` names the attack."""
        if threshold is None:
            return
        requirement = f"{direction} {short(threshold)}"
        why = too_little(measured, self.level)
        if isinstance(measured, Unmeasured) or why:
            outcome = "not measured" if isinstance(measured, Unmeasured) else with_interval(measured, source)
            yield Verdict(limit, self.about, self.version, requirement, outcome, False, why, threshold)
            return
        judged = measured.high if direction == "at most" else measured.low
        within = judged <= threshold if direction == "at most" else judged >= threshold
        outcome = f"{with_interval(measured, source)}, judged at {apart(judged, threshold)}"
        yield Verdict(limit, self.about, self.version, requirement, outcome, within, "", threshold, measured, judged)

    def place(self, limit: str, threshold: int | None, rank: "Standing | Unmeasured") -> Iterator[Verdict]:
        """Hold a place in a ranking against `threshold`; nothing where there is none."""
        if threshold is None:
            return
        requirement = f"at most {threshold}"
        if isinstance(rank, Unmeasured):
            yield Verdict(limit, self.about, self.version, requirement, "not ranked", False, rank.reason, threshold)
            return
        outcome = f"place {rank.best}" + (f", and at worst {rank.worst}: ties" if rank.worst > rank.best else "")
        good = rank.worst <= threshold
        yield Verdict(limit, self.about, self.version, requirement, outcome, good, "", threshold, judged=rank.worst)

    def state(self, limit: str, requirement: str, outcome: str, within: bool, reason: str = "") -> Verdict:
        """Judge what is no number."""
        return Verdict(limit, self.about, self.version, requirement, outcome, within, "" if within else reason)


@dataclass(frozen=True)
class Standing:
    """Hold the place of a version where ties count for it, and where they count against it."""

    best: int
    worst: int


def too_little(measured: Measured, level: float) -> str:
    """Say why a quantity is too little evidence for any limit; nothing where it is enough.

    >>> too_little(Estimate(0.6, 0.5, 0.7, level=0.5), 0.95)
    'its interval is at level 0.5, and 0.95 is asked for'
    """
    if measured.reason:
        return measured.reason
    if isinstance(measured, Estimate) and measured.level < level:
        return f"its interval is at level {measured.level:g}, and {level:g} is asked for"
    return ""


def with_interval(measured: Estimate, source: str = "") -> str:
    """Write an estimate with its interval, in the units of the policy.

    >>> with_interval(Estimate(0.58134, 0.5591, 0.61), "lira")
    '0.5813 (0.5591 to 0.61 at level 0.95; lira)'
    """
    by = f"; {clean(source)}" if source else ""
    return f"{short(measured.value)} ({short(measured.low)} to {short(measured.high)} at level {measured.level:g}{by})"


def short(value: float) -> str:
    """Write a number with four digits that count."""
    return f"{value:.4g}"


def apart(value: float, limit: float) -> str:
    """Write a number with as many digits as tell it from `limit`.

    >>> apart(0.600001, 0.6), apart(0.61234, 0.6), apart(0.6, 0.6)
    ('0.600001', '0.6123', '0.6')
    """
    texts = (f"{value:.{digits}g}" for digits in range(4, 18))
    return short(value) if value == limit else next(text for text in texts if float(text) != limit)
