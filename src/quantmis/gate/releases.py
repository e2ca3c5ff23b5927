"""The limits on versions that are released together."""

from collections.abc import Iterator
from typing import Any

from quantmis.gate.policy import Policy, limited_together
from quantmis.gate.verdict import Bench, Direction, Verdict
from quantmis.gate.versions import worst
from quantmis.measures import Measure
from quantmis.measures.release_attack_accuracy import RELEASE_ATTACK_ACCURACY
from quantmis.measures.release_strongest_alone import RELEASE_STRONGEST_ALONE
from quantmis.results import Measured, ReleaseResult, ResultSubject

NO_SET = "the audit attacked no versions together: it has a single one, or was told that none are released together"


def release_limits(subject: ResultSubject, policy: Policy) -> Iterator[Verdict]:
    """Hold the limits of `policy` on release sets against every set of a subject."""
    level = policy.evidence.level_at_least
    for key, (measure, direction) in limited_together().items():
        threshold: float | None = getattr(policy.release, key)
        if threshold is None:
            continue
        limit = f"release.{key}"
        if not subject.releases:
            bench = Bench(subject.about, None, level)
            yield bench.state(limit, f"{direction} {threshold:g}", "not measured", within=False, reason=NO_SET)
        for each in subject.releases:
            measured, attack = _quantity(measure, each, direction)
            yield from Bench(subject.about, each.name, level).hold(limit, direction, threshold, measured, attack)


def _quantity(measure: Measure[Any], release: ReleaseResult, direction: Direction) -> tuple[Measured, str]:
    """Return what is held: of attack accuracies the worse, because whoever has all versions can attack one alone."""
    if measure is not RELEASE_ATTACK_ACCURACY:
        return release[measure], ""
    both = [
        (release.strongest_attack, release[RELEASE_ATTACK_ACCURACY]),
        (release.strongest_alone, release[RELEASE_STRONGEST_ALONE]),
    ]
    return worst(both, direction)
